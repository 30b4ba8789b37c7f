"""What each ingredient of the predictor brings: `python -m benchmarks.meta_ablation FOLDER TABLE MODEL [FOLDS]`.

FOLDER holds the tables of `benchmarks.meta_tables`; TABLE is `mt560` or `nusa`, MODEL `m2m100` or `nllb`. Every line
has fixed settings and 180 rounds (nothing is tuned), on the same folds: each language left out in turn as source and
as target, or FOLDS groups of languages. Printed: the mean over languages of the RMSE, and the RMSE over all rows.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import numpy as np  # noqa: E402

from benchmarks.meta_tables import translations  # noqa: E402
from predictor.meta.model import Recipe  # noqa: E402
from predictor.meta.settings import Settings  # noqa: E402
from predictor.meta.splits import group_folds  # noqa: E402
from predictor.meta.validate import fit_on  # noqa: E402
from predictor.table import Table  # noqa: E402

ROUNDS = 180


def main(arguments: list[str]) -> int:
    if len(arguments) < 3:
        print(__doc__)
        return 1
    table = translations(Path(arguments[0], f"proxylm_{arguments[1]}.csv"), arguments[2])
    folds = int(arguments[3]) if len(arguments) > 3 else len(table)
    started = time.process_time()
    shape = {"num_leaves": min(15, 3 + len(table) // 40), "min_child_share": min(0.1, 10.0 / len(table))}
    common = {**shape, "learning_rate": 0.1, "rounds": ROUNDS}
    plain = Settings(trend="mean", **common)
    most = Settings(trend="mean", feature_fraction=0.8, **common)
    booster = Settings(trend="mean", feature_fraction=0.8, differences=6, **common)
    line = Settings(trend="line", feature_fraction=0.8, differences=6, **common)
    extra = Settings(trend="mean", feature_fraction=0.8, differences=6, extra_trees=True, **common)
    found = {}
    for name, settings in {
        "one booster, feature_fraction 0.6": plain,
        "feature_fraction 0.8": most,
        "and differences": booster,
        "the same on what a line leaves": line,
        "extra trees": extra,
    }.items():
        found[name] = _left_out(table, settings, folds)
        _print(table, name, found[name])
    members = list(found.values())[2:]
    _print(table, "mean of booster and line + booster", _mean(members[:2]))
    _print(table, "mean of these and extra trees", _mean(members))
    print(f"{time.process_time() - started:.0f} s of CPU time")
    return 0


def _left_out(table: Table, settings: Settings, folds: int) -> dict[str, np.ndarray]:
    """Group column → out-of-group predictions, (n,)."""
    found = {}
    for column, labels in table.groups.items():
        predicted = np.full(len(table), np.nan)
        for train, test in group_folds(labels, folds, seed=0):
            predicted[test] = fit_on(table, train, Recipe((settings,)), 0, 1).predict(table.matrix[test])
        found[column] = predicted
    return found


def _mean(members: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {column: np.mean([each[column] for each in members], axis=0) for column in members[0]}


def _print(table: Table, name: str, found: dict[str, np.ndarray]) -> None:
    parts = []
    for column, predicted in found.items():
        text = table.groups[column].astype(str)
        squares = (predicted - table.y) ** 2
        by_group = np.mean([np.sqrt(squares[text == label].mean()) for label in np.unique(text)])
        parts.append(f"{column} {by_group:.2f} (rows {np.sqrt(squares.mean()):.2f})")
    print(f"{name:36s} {'  '.join(parts)}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
