"""What a predictor must beat: guesses that need no learning to speak of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from predictor.meta.known import columns_of_baselines
from predictor.meta.linear import Linear, fit_linear
from predictor.meta.model import Recipe, fit
from predictor.meta.settings import Settings
from predictor.meta.splits import tuning_folds
from predictor.schema import keys
from predictor.table import Table
from predictor.table.planned import PLANNED

Guess = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(positions of the rows that teach, of the rows that test) → predictions of the test rows."""

OF_TARGET: Final = {
    "forgetting": {
        "learning_rate_only": f"{keys.HP}learning_rate",
        "kl_only": f"{keys.PROBE}generic_divergence",
        "task_kl_only": f"{keys.PROBE}dev_divergence",
    }
}
"""Target → name of a baseline → the one feature that it guesses from: what is said to track that target."""
ALPHAS = (0.01, 0.1, 1.0, 10.0)


def baselines(table: Table, labels: np.ndarray | None = None) -> dict[str, Guess]:
    """The baselines that this table has the columns for, by name.

    Args:
        labels: (n,) what is left out together where they are compared, which is how a penalty is chosen; the groups
            when None.
    """
    names = table.schema.names
    chosen: dict[str, Guess] = {"mean": lambda train, test: np.full(len(test), table.y[train].mean())}
    single = columns_of_baselines(table)
    # Baselines of equal error are shown in this order; that of the catalog would follow the imports.
    for name in sorted(single, reverse=True):
        chosen[name] = _line(table, single[name])
    for name, column in OF_TARGET.get(table.target.name, {}).items():
        if column in names:
            chosen[name] = _line(table, names.index(column))
    hp = [j for j, column in enumerate(names) if column.startswith(keys.HP) and column not in PLANNED]
    if hp:
        chosen["hp_only"] = _trees(table, hp)
    chosen["nearest_dataset"] = _nearest(table)
    chosen["ridge"] = _ridge(table, table.group if labels is None else labels)
    return chosen


def _line(table: Table, column: int) -> Guess:
    """Least squares through one feature."""

    def guess(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        x = table.matrix[:, [column]]
        return fit_linear(x[train], table.y[train], alpha=1e-9).predict(x[test])

    return guess


def _trees(table: Table, columns: list[int]) -> Guess:
    """The default boosted model on some columns only."""
    categorical = [i for i, j in enumerate(columns) if j in table.schema.categorical]

    def guess(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        x = table.matrix[:, columns]
        model = fit(x[train], table.y[train], Recipe((Settings(trend="mean"),)), categorical=categorical)
        return model.predict(x[test])

    return guess


def _nearest(table: Table) -> Guess:
    """The target of the most similar row that may teach, by Euclidean distance of standardised features."""

    def guess(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        space = fit_linear(table.matrix[train], table.y[train], alpha=1.0, skip=table.schema.categorical)
        known, new = space.z(table.matrix[train]), space.z(table.matrix[test])
        nearest = np.empty(len(test), dtype=int)
        squares = np.sum(known**2, axis=1)
        for start in range(0, len(test), 512):
            part = new[start : start + 512]
            nearest[start : start + 512] = np.argmin(squares - 2.0 * part @ known.T, axis=1)
        return table.y[train][nearest]

    return guess


def _ridge(table: Table, labels: np.ndarray) -> Guess:
    """Ridge on every number, its penalty chosen by grouped cross-validation among the rows that teach."""

    def guess(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        x, y = table.matrix[train], table.y[train]
        folds = tuning_folds(labels[train], 5, seed=0)

        def error(alpha: float) -> float:
            total = 0.0
            for inner, outer in folds:
                total += float(np.sum((_fit(x[inner], y[inner], alpha).predict(x[outer]) - y[outer]) ** 2))
            return total

        return _fit(x, y, min(ALPHAS, key=error)).predict(table.matrix[test])

    def _fit(x: np.ndarray, y: np.ndarray, alpha: float) -> Linear:
        return fit_linear(x, y, alpha, skip=table.schema.categorical)

    return guess
