"""Candidates in the order in which a predictor would train them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from predictor.errors import ConfigError, PredictorError
from predictor.meta.bundle import Bundle
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
    "error",
)


@dataclass(frozen=True)
class Candidate:
    """A dataset, with settings, that might be fine-tuned on.

    Attributes:
        features: `hp/...` and `probe/...`; empty when it could not be probed.
        probe_s: seconds that its probe took, NaN when unknown.
        error: why it has no features.
    """

    name: str
    features: Mapping[str, Any]
    probe_s: float = float("nan")
    error: str = ""


def from_record(record: RunRecord, name: str = "") -> Candidate:
    """A candidate from a record's features; nothing else of the record is looked at."""
    seconds = [record.costs[key] for key in ("probe_total_s", "probe_s", "total_s") if key in record.costs]
    return Candidate(
        name or record.dataset or record.run_id, feature_row(record), seconds[0] if seconds else float("nan")
    )


def features_of(
    given: str | Path | Mapping[str, Any] | RunRecord,
    number: int,
    prober: Callable[..., RunRecord] | None,
    probe: Mapping[str, Any],
) -> Candidate:
    """A candidate from what a user gave: a source is probed, and a fault of the probe becomes its error."""
    if isinstance(given, RunRecord):
        return from_record(given)
    if isinstance(given, Mapping):
        return Candidate(str(given.get("candidate", f"row {number}")), given)
    if prober is None:
        raise ConfigError(
            f"'{given}' must be probed first, and this predictor has no prober",
            rule="feature rows or records",
            fix="load it with predictor.load(...), which probes datasets",
        )
    try:
        return from_record(prober(str(given), **probe), str(given))
    except PredictorError as error:
        return Candidate(str(given), {}, error=error.one_line())


def ranking(bundle: Bundle, candidates: Sequence[Candidate]) -> pd.DataFrame:
    """One row for each candidate, best first, those with errors last; see :data:`COLUMNS`."""
    good = [candidate for candidate in candidates if not candidate.error]
    table = pd.DataFrame({"candidate": [candidate.name for candidate in candidates]})
    table["error"] = [candidate.error for candidate in candidates]
    table["probe_s"] = [candidate.probe_s for candidate in candidates]
    if good:
        rows = pd.DataFrame([dict(candidate.features) for candidate in good])
        predicted = bundle.predict(rows)
        predicted["reasons"] = ["; ".join(told) for told in bundle.reasons(rows)]
        predicted.index = table.index[table["error"] == ""]
        table = table.join(predicted)
    table = table.reindex(columns=[name for name in COLUMNS if name != "rank"])
    order = np.argsort(-table["prediction"].astype(float).fillna(-np.inf).to_numpy(), kind="stable")
    table = table.iloc[order].reset_index(drop=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    for name in ("reasons", "unusual_feature", "estimator"):
        table[name] = table[name].fillna("")
    table["unusual"] = table["unusual"].fillna(False).astype(bool)
    return table
