"""What a sweep found, over its seeds: one row for each setting, paired tests between methods, and a figure."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from predictor.schema import RunRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FLOORS: Final = ("bag_of_words_accuracy", "majority_accuracy")
_WHERE: Final = ("dataset", "base_model", "method")
_TESTED: Final = ("dataset", "base_model", "seed", "method_a", "method_b", "rows", "only_a_right", "only_b_right", "p")
_MOST_BARS: Final = 40


def results_table(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """Settings in the order of their first run: mean and standard deviation (n − 1) of every score over their seeds.

    Hyperparameters that differ between runs of a method have columns; so has the mean of the seconds of a run. Of one
    seed there is no deviation: NaN.
    """
    varied = _varied(records)
    groups: dict[tuple[Any, ...], list[RunRecord]] = {}
    for record in records:
        settings = (record.dataset, record.base_model, record.method, *(record.hp.get(name) for name in varied))
        groups.setdefault(settings, []).append(record)
    scores = [name for name in dict.fromkeys(n for r in records for n in r.scores) if not name.endswith("_se")]
    rows = []
    for settings, runs in groups.items():
        row: dict[str, Any] = dict(zip((*_WHERE, *varied), settings, strict=True))
        row["seeds"] = len(runs)
        for name in scores:
            values = [run.scores[name] for run in runs if name in run.scores]
            row[name] = float(np.mean(values)) if values else math.nan
            row[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        row["seconds"] = float(np.mean([run.costs.get("total_s", math.nan) for run in runs]))
        row["trainable_parameters"] = float(np.mean([run.costs.get("trainable_parameters", math.nan) for run in runs]))
        rows.append(row)
    return rows


def paired_tests(records: Sequence[RunRecord], hits: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """McNemar's exact test (1947) between each two methods that were scored on the same rows with the same seed.

    Where several settings of a method were tried, its best by the mean over seeds is taken. p is two-sided: how often a
    fair coin, thrown for each row that only one of the two has right, falls at least as unevenly.

    Args:
        hits: run id → 1 or 0 for each scored row, in their order.
    """
    from scipy.stats import binomtest

    rows = []
    best = _best_of_method(records, hits)
    for (where, seed), runs in best.items():
        for one, two in itertools.combinations(sorted(runs), 2):
            a, b = (np.asarray(hits[runs[method].run_id]) for method in (one, two))
            if runs[one].eval_fingerprint != runs[two].eval_fingerprint or len(a) != len(b):
                continue
            only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
            p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
            rows.append(dict(zip(_TESTED, (*where, seed, one, two, len(a), only_a, only_b, float(p)), strict=True)))
    return rows


def results_figure(rows: Sequence[Mapping[str, Any]], headline: str) -> Figure:
    """Means of a score with their standard deviation over seeds, and the floor beside them."""
    from matplotlib.figure import Figure

    shown = list(rows)[:_MOST_BARS]
    figure = Figure(figsize=(8.0, 1.2 + 0.34 * len(shown)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shown))[::-1]
    spread = np.nan_to_num([row.get(f"{headline}_sd", math.nan) for row in shown])
    means = [row.get(headline, math.nan) for row in shown]
    axes.barh(places, means, xerr=spread, height=0.62, color="tab:blue", alpha=0.75, ecolor="0.2", label=headline)
    for name, mark in zip(FLOORS, ("|", "."), strict=True):
        values = [row.get(name, math.nan) for row in shown]
        if np.isfinite(values).any():
            axes.plot(values, places, mark, color="tab:red", ms=14 if mark == "|" else 6, mew=2, ls="", label=name)
    axes.set_yticks(places, [_title(row) for row in shown], fontsize=8)
    axes.set_xlabel(f"{headline} (bars: mean over seeds; lines: standard deviation over seeds)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def write_results(
    folder: Path, records: Sequence[RunRecord], hits: Mapping[str, Sequence[float]], headline: str
) -> list[dict[str, Any]]:
    """Write `results.csv`, `results.png` and, where methods can be compared, `paired_tests.csv`.

    Returns:
        the rows of `results.csv`; none is written where there are none.
    """
    rows = results_table(records)
    if rows:
        _write(folder / "results.csv", rows)
        results_figure(rows, headline).savefig(folder / "results.png", dpi=110)
    if tests := paired_tests(records, hits):
        _write(folder / "paired_tests.csv", tests)
    return rows


def _best_of_method(
    records: Sequence[RunRecord], hits: Mapping[str, Sequence[float]]
) -> dict[tuple[tuple[str, str], int], dict[str, RunRecord]]:
    """(dataset, base model), seed → method → the run of its best setting."""
    settings: dict[tuple[str, str, str], dict[str, list[RunRecord]]] = {}
    for record in records:
        if record.run_id in hits:
            key = (record.dataset, record.base_model, record.method)
            settings.setdefault(key, {}).setdefault(repr(sorted(record.hp.items())), []).append(record)
    found: dict[tuple[tuple[str, str], int], dict[str, RunRecord]] = {}
    for (dataset, base_model, method), tried in settings.items():
        runs = max(tried.values(), key=lambda runs: np.mean([np.mean(hits[run.run_id]) for run in runs]))
        for run in runs:
            found.setdefault(((dataset, base_model), run.seed), {})[method] = run
    return found


def _varied(records: Sequence[RunRecord]) -> list[str]:
    names = dict.fromkeys(name for record in records for name in record.hp)
    methods = {record.method for record in records}
    return [
        name
        for name in names
        if any(len({repr(r.hp.get(name)) for r in records if r.method == method}) > 1 for method in methods)
    ]


def _title(row: Mapping[str, Any]) -> str:
    dataset = str(row["dataset"]).rstrip("/").rsplit("/", 1)[-1]
    values = [
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in itertools.takewhile(lambda each: each[0] != "seeds", row.items())
        if name not in _WHERE and value is not None
    ]
    return ", ".join([dataset, str(row["base_model"]).rsplit("/", 1)[-1], str(row["method"]), *values])


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
