"""What fine-tunes in the lab teach about real ones: `python -m benchmarks.transfer [FILE]`.

Predicts the packaged fine-tunes of SmolLM2 (or those of FILE), each family of datasets by models that have not seen it:
taught by the other real families, by the lab's fine-tunes alone, and by both; with all features, and with those alone
that are measured against the base's own start. Beside them the mean of the other families and a line through the
score after the first steps.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import numpy as np  # noqa: E402

import predictor.tasks  # noqa: E402, F401 - declares the target
from predictor.meta.scores import regret, spearman  # noqa: E402
from predictor.meta.tune import Budget, tune  # noqa: E402
from predictor.meta.validate import fit_on  # noqa: E402
from predictor.runs import runs_path  # noqa: E402
from predictor.schema.archive import read_archive  # noqa: E402
from predictor.schema.record import RunRecord  # noqa: E402
from predictor.table import Table  # noqa: E402
from predictor.table.build import build  # noqa: E402

RELATIVE = re.compile(
    r"early_exact_match|zero_shot|dev_(loss_fall|divergence|gradient_agreement)|generic_divergence|loss_decay"
    r"|gradient_(consistency|norm_variation)|parameter_change|forgetting_proxy|_rate$|_shift$|coverage"
)
"""Features that compare a dataset with itself, with the evaluation, or the first steps with the base's own start."""
EARLY = "probe/early_exact_match"


def main(file: str = "") -> None:
    real = read_archive(Path(file) if file else runs_path("smollm2")).records
    lab = read_archive(runs_path("lab")).records
    print(f"{'taught by':<22}{'features':<12}{'RMSE':>7}{'Spearman':>10}{'regret@1':>10}  (points)")
    for kind in ("all", "relative"):
        of_real, of_lab = ([_kept(record, kind) for record in side] for side in (real, lab))
        table = build([*of_real, *of_lab])
        ours = np.isin(table.tasks, np.unique(build(of_real).tasks))
        for name, taught in (("real", ours), ("lab", ~ours), ("lab and real", np.ones(len(ours), dtype=bool))):
            predicted = _left_out(table, ours, taught)
            print(_line(name, kind, table, ours, predicted), flush=True)
    print(_line("mean of the others", "", table, ours, _others(table, ours, None)))
    print(_line("a line on the early score", "", table, ours, _others(table, ours, table.rows[EARLY].to_numpy())))


def _kept(record: RunRecord, kind: str) -> RunRecord:
    if kind == "all":
        return record
    return dataclasses.replace(record, probe={n: v for n, v in record.probe.items() if RELATIVE.search(n)})


def _left_out(table: Table, ours: np.ndarray, taught: np.ndarray) -> np.ndarray:
    """Predictions of our rows, family by family, by what was taught by the chosen rows of other families."""
    families = _families(table)
    predicted = np.full(len(table), np.nan)
    budget = dataclasses.replace(Budget.for_rows(len(table)), trials=10)
    known: dict[bytes, np.ndarray] = {}
    for family in np.unique(families[ours]):
        test = ours & (families == family)
        rows = np.flatnonzero(taught & ~test)
        if rows.tobytes() not in known:
            told = table.matrix[rows], table.y[rows], families[rows]
            kinds = table.schema.categorical
            tuned = tune(*told, categorical=kinds, trials=budget.trials, budget=budget, seed=0)
            known[rows.tobytes()] = fit_on(table, rows, tuned.recipe, seed=0, threads=1).predict(table.matrix)
        predicted[test] = known[rows.tobytes()][test]
    return predicted


def _others(table: Table, ours: np.ndarray, column: np.ndarray | None) -> np.ndarray:
    families = _families(table)
    predicted = np.full(len(table), np.nan)
    for family in np.unique(families[ours]):
        test, rows = ours & (families == family), ours & (families != family)
        if column is None:
            predicted[test] = table.y[rows].mean()
        else:
            predicted[test] = np.polyval(np.polyfit(column[rows], table.y[rows], 1), column[test])
    return predicted


def _families(table: Table) -> np.ndarray:
    assert table.families is not None
    return table.families


def _line(name: str, kind: str, table: Table, ours: np.ndarray, predicted: np.ndarray) -> str:
    y, said = table.y[ours], predicted[ours]
    found: Sequence[float] = (
        100 * float(np.sqrt(np.mean((y - said) ** 2))),
        spearman(y, said),
        100 * regret(y, said, table.tasks[ours])["regret_top1"],
    )
    return f"{name:<26}{kind:<8}{found[0]:>7.1f}{found[1]:>10.2f}{found[2]:>10.1f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
