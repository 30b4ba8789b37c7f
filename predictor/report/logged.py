"""What is logged of a trained predictor: metrics of its run, tags of its version."""

from __future__ import annotations

from collections.abc import Mapping

from predictor.meta.train import Trained
from predictor.meta.validate import UNSEEN
from predictor.schema import keys
from predictor.schema.codec import TAG_FIELDS
from predictor.table import Table

_LONGEST = 200
"""Characters of the values of one tag."""


def metrics(table: Table, trained: Trained) -> dict[str, float]:
    """The figures of the run that trained it: table, tuning, validations, baselines, steps and tiers."""
    found = {
        f"{keys.TABLE}rows": float(len(table)),
        f"{keys.TABLE}groups": float(len(set(map(str, table.group)))),
        f"{keys.TABLE}features": float(len(table.schema.columns)),
        f"{keys.TABLE}judged": float(table.judged.sum()),
        f"{keys.TABLE}skipped": float(sum(table.skipped.values())),
        f"{keys.TABLE}noise_floor": table.noise.floor,
        keys.TUNING_RMSE: trained.tuned.rmse,
        keys.PERMUTED_R2: trained.permuted_r2,
        keys.HALF_WIDTH: trained.bundle.main.interval.half_width,
    }
    for name, validation in trained.validations.items():
        found.update({f"{keys.VALIDATION}{name}/{metric}": value for metric, value in validation.metrics.items()})
        rmse = {each: found["rmse"] for each, found in validation.baselines.items()}
        found.update({f"{keys.BASELINE}{name}/{each}_rmse": value for each, value in rmse.items()})
    for prefix, steps in ((keys.STEPS, trained.steps), (keys.TIERS, trained.tiers)):
        found.update({f"{prefix}{step.name.replace(' ', '_')}_rmse": step.metrics["rmse"] for step in steps})
    if table.families is not None:
        found[f"{keys.TABLE}families"] = float(len(set(table.families)))
    return finite(found)


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """Without what could not be measured: a chart of NaN says nothing."""
    return {name: value for name, value in metrics.items() if value == value}


def version_tags(table: Table, trained: Trained) -> dict[str, str]:
    """What a person, and the promotion gate, want to know about a version."""
    tags = {
        keys.TAG_TARGET: table.column,
        keys.TAG_TABLE_DIGEST: table.digest,
        keys.TAG_ROWS: str(len(table)),
        keys.TAG_GROUPS: str(len(set(map(str, table.group)))),
        keys.TAG_TRAINING_RUNS: str(sum(len(unit) for unit in table.run_ids)),
        keys.PERMUTED_R2: repr(trained.permuted_r2),
        keys.TAG_HEADLINE: trained.headline.split,
        keys.TAG_JUDGED: str(int(table.judged.sum())),
    }
    if table.families is not None:
        tags[keys.TAG_FAMILIES] = str(len(set(table.families)))
    for name in UNSEEN:
        if name in trained.validations:
            baseline, rmse = trained.validations[name].best_baseline
            tags |= {f"{keys.BASELINE}{name}/name": baseline, f"{keys.BASELINE}{name}/rmse": repr(rmse)}
    tags |= _taught(table)
    for split, validation in trained.validations.items():
        for metric in ("rmse", "mae", "r2", "spearman", "coverage"):
            tags[f"{keys.VALIDATION}{split}/{metric}"] = repr(validation.metrics[metric])
    return tags


def _taught(table: Table) -> dict[str, str]:
    """How the runs were made that taught, under the tags that runs have; of more values than a few their number."""
    tags = {}
    for field, (tag, _) in TAG_FIELDS.items():
        if known := table.taught.known(field):
            text = ",".join(map(str, known))
            tags[tag] = text if len(text) <= _LONGEST else f"{len(known)} different ones"
    return tags
