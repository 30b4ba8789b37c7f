"""Candidates in the order in which a predictor would train them."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from predictor.errors import ConfigError, RegistryError, in_one_line
from predictor.meta.bundle import Bundle
from predictor.schema import keys
from predictor.schema.record import RunRecord
from predictor.table import feature_row

COLUMNS = (
    "rank",
    "candidate",
    "prediction",
    "lower",
    "upper",
    "unusual",
    "unusual_feature",
    "estimator",
    "reasons",
    "probe_s",
    "full_s",
    "advice",
    "error",
)


@dataclass(frozen=True)
class Candidate:
    """A dataset, with settings, that might be fine-tuned on.

    Attributes:
        features: `hp/...` and `probe/...`; empty when it could not be probed.
        probe_s: seconds that its probe took, NaN when unknown.
        error: why it has no features.
        strange: the parameter in which its probe differs from all runs that taught, empty without one.
    """

    name: str
    features: Mapping[str, Any]
    probe_s: float = float("nan")
    error: str = ""
    strange: str = ""


def from_record(record: RunRecord, name: str = "") -> Candidate:
    """A candidate from a record's features; nothing else of the record is looked at."""
    parts = [value for key, value in record.costs.items() if key.startswith("probe_") and key.endswith("_s")]
    seconds = record.costs.get("total_s") if record.kind == keys.KIND_PROBE else sum(parts) if parts else None
    name = name or record.dataset or record.run_id
    return Candidate(name, feature_row(record), float("nan") if seconds is None else seconds)


def from_probe(bundle: Bundle, record: RunRecord, said: Container[str], name: str = "") -> Candidate:
    """A candidate from the probe that was made of it for a ranking.

    Args:
        said: parameters that the user said. A probe unlike those of the runs that taught is flagged when one of them is
            why.

    Raises:
        RegistryError: it is unlike them, and nobody asked for that.
    """
    strange = bundle.taught.strange(record)
    if strange is not None and not any(cause in said for cause in strange.causes):
        raise RegistryError(
            f"{strange.name} is not that of the runs that taught the predictor: {strange.text}",
            where=name or record.dataset,
            rule="a predictor knows only the base model, the task and the evaluation that taught it",
            fix=f"say {strange.causes[0]} to rank it all the same, flagged as unusual"
            if strange.causes
            else "train a predictor from runs of this version of the package",
        )
    return replace(from_record(record, name), strange=strange.name if strange else "")


def features_of(
    bundle: Bundle,
    given: str | Path | Mapping[str, Any] | RunRecord,
    number: int,
    prober: Callable[..., RunRecord] | None,
    probe: Mapping[str, Any],
) -> Candidate:
    """A candidate from what a user gave; whatever fails becomes its error.

    A source is probed as the runs were that taught, but for what `probe` says.
    """
    if isinstance(given, RunRecord):
        strange = bundle.taught.strange(given)
        return replace(from_record(given), strange=strange.name if strange else "")
    if isinstance(given, Mapping):
        return Candidate(str(given.get("candidate", f"row {number}")), given)
    if prober is None:
        raise ConfigError(
            f"'{given}' must be probed first, and this predictor has no prober",
            rule="feature rows or records",
            fix="load it with predictor.load(...), which probes datasets",
        )
    try:
        record = prober(str(given), **{**bundle.like_taught(probe), **probe})
        return from_probe(bundle, record, probe, str(given))
    except Exception as error:  # whatever it is, the other candidates are ranked
        return Candidate(str(given), {}, error=in_one_line(error))


def ranking(bundle: Bundle, candidates: Sequence[Candidate]) -> pd.DataFrame:
    """One row for each candidate, best first (the lowest where lower is better), those with errors last.

    Returns:
        A table with :data:`COLUMNS`.
    """
    good = [candidate for candidate in candidates if not candidate.error]
    table = pd.DataFrame({"candidate": [candidate.name for candidate in candidates]})
    table["error"] = [candidate.error for candidate in candidates]
    table["probe_s"] = [candidate.probe_s for candidate in candidates]
    if good:
        rows = pd.DataFrame([dict(candidate.features) for candidate in good])
        predicted = bundle.predict(rows)
        predicted["full_s"] = bundle.price_s(rows)
        predicted["reasons"] = ["; ".join(told) for told in bundle.reasons(rows)]
        strange = pd.Series([candidate.strange for candidate in good], index=predicted.index)
        # What all features mean comes before any single one of them.
        predicted["unusual_feature"] = strange.where(strange != "", predicted["unusual_feature"])
        predicted["unusual"] |= strange != ""
        predicted.index = table.index[table["error"] == ""]
        table = table.join(predicted)
    table = table.reindex(columns=[name for name in COLUMNS if name != "rank"])
    worth = bundle.target.sign * table["prediction"].astype(float)
    order = np.argsort(-worth.fillna(-np.inf).to_numpy(), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    table["advice"] = advice(bundle, table)
    for name in ("reasons", "unusual_feature", "estimator"):
        table[name] = table[name].fillna("")
    table["unusual"] = table["unusual"].fillna(False).astype(bool)
    return table


def advice(bundle: Bundle, table: pd.DataFrame) -> list[str]:
    """What to do with each row of a ranking: `train`, `skip` or `probe deeper`; empty for a row with an error.

    Skip what is predicted to end worse than the best by more than the half width of its own interval. Of the rest,
    probe deeper what a cheaper estimator than the best there is has answered, and train the others.
    """
    dearest = next(iter(bundle.estimators))
    sign = bundle.target.sign
    best = (sign * table["prediction"].astype(float)).max()
    advised = []
    for row in table.itertuples():
        if row.error:
            advised.append("")
        elif best - sign * row.prediction > bundle.estimators[row.estimator].interval.half_width:
            advised.append("skip")
        else:
            advised.append("train" if row.estimator == dearest else "probe deeper")
    return advised
