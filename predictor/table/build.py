"""Run records → the training table."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from predictor.errors import TableError
from predictor.schema import keys
from predictor.schema.measured import doubles
from predictor.schema.record import HpValue, RunRecord
from predictor.table.columns import FeatureSchema
from predictor.table.groups import dataset_groups
from predictor.table.table import Table, check_enough

GROUP = "dataset"
"""Name of the group column of a table built from records."""


def feature_row(record: RunRecord) -> dict[str, HpValue]:
    """The features of one run, for training and for serving: only `hp/` and `probe/` can ever get in.

    Nothing that was measured after the probe has one of these two prefixes, so nothing else can leak.
    """
    row: dict[str, HpValue] = {f"{keys.HP}{name}": value for name, value in sorted(record.hp.items())}
    row.update({f"{keys.PROBE}{name}": float(value) for name, value in sorted(record.probe.items())})
    return row


def build(
    records: Iterable[RunRecord], target: str = "score/exact_match", *, average_seeds: bool = True, source: str = ""
) -> Table:
    """The table of the runs that may teach a predictor of `target`.

    Args:
        records: of any kind and status; those that may not teach are counted by reason.
        target: `score/<name>`.
        average_seeds: one row for the seeds of a configuration, their features and target averaged; otherwise one row
            for a run.
        source: where the records came from, for messages.

    Raises:
        TableError: no run may teach (with the reasons), too few rows, or a target that never varies.
    """
    if not target.startswith(keys.SCORE):
        raise TableError(
            f"target '{target}' cannot be predicted from runs",
            where="-P target",
            rule=f"{keys.SCORE}<name>, such as {keys.SCORE}exact_match",
        )
    records = list(records)
    reasons = [record.ineligible(target) for record in records]
    skipped = Counter(reason for reason in reasons if reason)
    eligible = [record for record, reason in zip(records, reasons, strict=True) if reason is None]
    if not eligible:
        detail = "; ".join(f"{count} x {reason}" for reason, count in sorted(skipped.items()))
        raise TableError(
            f"none of {len(records)} runs can teach a predictor of {target}",
            where=source or None,
            rule="finished, complete runs of kind finetune that hold the target",
            fix=f"skipped: {detail}" if detail else "run `finetune` first, or name the experiment that holds the runs",
        )
    units = _units(eligible, average_seeds)
    rows, dropped = _features(units)
    name = target.removeprefix(keys.SCORE)
    seeds = np.array([len(unit) for unit in units])
    mean, deviation = _spread([record.scores[name] for unit in units for record in unit], seeds)
    groups = dataset_groups({_dataset(unit[0]): unit[0].row_sketch for unit in units})
    table = Table(
        rows=rows,
        schema=FeatureSchema.of(rows),
        y=mean,
        target=target,
        groups={GROUP: np.array([groups[_dataset(unit[0])] for unit in units], dtype=object)},
        tasks=np.array([f"{unit[0].task}:{unit[0].eval_fingerprint}" for unit in units], dtype=object),
        run_ids=tuple(tuple(record.run_id for record in unit) for unit in units),
        seed_sd=deviation,
        seeds=seeds,
        sampling_se=_spread([_sampling_se(record, name) for unit in units for record in unit], seeds)[0],
        price=_spread([_price(record) for unit in units for record in unit], seeds)[0],
        skipped=dict(skipped),
        group_names=_group_names([(groups[_dataset(unit[0])], unit[0].dataset) for unit in units]),
        dropped=dropped,
        source=source,
    )
    return check_enough(table)


def _units(records: Sequence[RunRecord], average_seeds: bool) -> list[list[RunRecord]]:
    if not average_seeds:
        return [[record] for record in records]
    units: dict[tuple[object, ...], list[RunRecord]] = defaultdict(list)
    distinct: dict[frozenset[tuple[str, HpValue]], int] = {}
    # By identity too: runs that were read together share the object, and `records` keeps it alive.
    seen: dict[int, int] = {}
    for record in records:
        hp = seen.get(id(record.hp))
        if hp is None:
            hp = seen[id(record.hp)] = distinct.setdefault(frozenset(record.hp.items()), len(distinct))
        identity = (
            _dataset(record),
            record.task,
            record.eval_fingerprint,
            record.base_model_digest or record.base_model,
            record.encoder_digest,
            hp,
        )
        units[identity].append(record)
    return list(units.values())


def _dataset(record: RunRecord) -> str:
    return record.dataset_fingerprint or record.dataset or record.run_id


def _group_names(datasets: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Label of a group → what its datasets' names have in common, for people; from (label, name) of each row."""
    members: dict[str, set[str]] = defaultdict(set)
    for label, name in datasets:
        members[label].add(name)
    # Letter by letter: names of lab datasets and of files in one folder begin alike.
    shared = {label: os.path.commonprefix(sorted(names)) for label, names in members.items()}  # noqa: RUF071
    names = {
        label: prefix if len(members[label]) == 1 else f"{prefix}… ({len(members[label])} datasets)"
        for label, prefix in shared.items()
    }
    times = Counter(names.values())
    return {label: f"{name} {label[:6]}" if times[name] > 1 else name for label, name in names.items() if name}


def _features(units: Sequence[Sequence[RunRecord]]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Features by row, and the columns left out with the reason. The same values as rows of :func:`feature_row`, put
    together by column: a hundred thousand runs have ten million of them."""
    frame = pd.concat([_hp_columns(units), _probe_columns(units)], axis=1)
    frame = frame[sorted(frame.columns)]
    empty = [name for name in frame.columns if frame[name].isna().all()]
    return frame.drop(columns=empty), dict.fromkeys(empty, "empty in every run")


def _hp_columns(units: Sequence[Sequence[RunRecord]]) -> pd.DataFrame:
    """Hyperparameters, the same in all runs of a unit. They are of mixed types, so pandas chooses the columns' types,
    from every Hj once: many datasets are fine-tuned with the same."""
    distinct: dict[tuple[tuple[str, HpValue], ...], int] = {}
    codes = [distinct.setdefault(tuple(unit[0].hp.items()), len(distinct)) for unit in units]
    frame = pd.DataFrame([{f"{keys.HP}{name}": value for name, value in hp} for hp in distinct])
    return frame.take(codes).reset_index(drop=True)


def _probe_columns(units: Sequence[Sequence[RunRecord]]) -> pd.DataFrame:
    """Probe features are numbers: float64, for a unit of several runs the mean of those that are finite."""
    names = sorted({name for known in {tuple(record.probe) for unit in units for record in unit} for name in known})
    values = _probe_matrix([unit[0] for unit in units], names)
    several = np.array([i for i, unit in enumerate(units) if len(unit) > 1], dtype=int)
    if len(several):
        total, count = np.zeros((len(several), len(names))), np.zeros((len(several), len(names)))
        # Run after run, so that each sum is added up in the order of the unit's runs.
        for k in range(max(len(units[i]) for i in several)):
            having = np.array([j for j, i in enumerate(several) if len(units[i]) > k], dtype=int)
            part = _probe_matrix([units[several[j]][k] for j in having], names)
            finite = np.isfinite(part)
            total[having] += np.where(finite, part, 0.0)
            count[having] += finite
        with np.errstate(invalid="ignore"):
            values[several] = total / count  # 0 / 0 is NaN: not known in any run
    return pd.DataFrame(values, columns=[f"{keys.PROBE}{name}" for name in names])


def _probe_matrix(records: Sequence[RunRecord], names: Sequence[str]) -> np.ndarray:
    """Probe features of the records, (records, names), NaN where a record has none."""
    position = {name: j for j, name in enumerate(names)}
    by_keys: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        by_keys[tuple(record.probe)].append(i)
    matrix = np.full((len(records), len(names)), np.nan)
    for known, rows in by_keys.items():
        block = np.concatenate([doubles(records[i].probe) for i in rows]).reshape(len(rows), len(known))
        matrix[np.ix_(rows, [position[name] for name in known])] = block
    return matrix


def _spread(values: Sequence[float], counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (NaN for one value) of neighbouring values, `counts[i]` of them for row i."""
    flat = np.array(values, dtype=float)
    starts = np.cumsum(counts) - counts
    mean = np.add.reduceat(flat, starts) / counts
    squares = np.add.reduceat((flat - np.repeat(mean, counts)) ** 2, starts)
    with np.errstate(invalid="ignore"):
        return mean, np.where(counts > 1, np.sqrt(squares / np.where(counts > 1, counts - 1, np.nan)), np.nan)


def _sampling_se(record: RunRecord, name: str) -> float:
    """Standard error of a mean over n questions; sqrt(p(1-p)/n) is its largest value for scores in [0, 1]."""
    if f"{name}_se" in record.scores:
        return record.scores[f"{name}_se"]
    p, n = record.scores[name], record.scores.get("n", 0.0)
    return math.sqrt(p * (1.0 - p) / n) if n > 0 and 0.0 <= p <= 1.0 else math.nan


def _price(record: RunRecord) -> float:
    """Seconds of the full fine-tune: the total when it was recorded, otherwise the sum of the parts."""
    if "total_s" in record.costs:
        return record.costs["total_s"]
    parts = [value for name, value in record.costs.items() if name.endswith("_s")]
    return sum(parts) if parts else math.nan
