"""What more runs would buy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictor.meta.validate import Validation, fit_on
from predictor.table import Table

SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Growth:
    """Error on unseen groups, or families, against the number of rows that taught.

    Attributes:
        rows: mean number of rows that taught, for each of :data:`SHARES`, and in the validation itself.
        rmse: the error then, in the target's unit.
        exponent: of rmse ∝ rows^(−exponent), by least squares in logarithms, never below 0.
    """

    rows: tuple[float, ...]
    rmse: tuple[float, ...]
    exponent: float

    def rmse_after(self, more: int) -> float:
        """The error extrapolated to `more` further rows like these: a guess, not a measurement."""
        return self.rmse[-1] * (self.rows[-1] / (self.rows[-1] + more)) ** self.exponent


def growth(table: Table, headline: Validation, seed: int, threads: int, repeats: int = 2) -> Growth:
    """Refit the blocks of a validation on parts of their rows, whole groups (or families) at a time."""
    labels = headline.labels.astype(str)
    rows, rmse = [], []
    for share in SHARES:
        squares, taught = [], []
        for repeat in range(repeats):
            for number, (block, tuned) in enumerate(zip(headline.blocks, headline.tuned, strict=True)):
                part = _part(labels, block.tuning, share, seed + 100 * repeat + number)
                test = np.concatenate([test for _, test in block.folds])
                test = test[table.judged[test]]
                predicted = fit_on(table, part, tuned.recipe, seed, threads).predict(table.matrix[test])
                squares.append((predicted - table.y[test]) ** 2)
                taught.append(len(part))
        rows.append(float(np.mean(taught)))
        rmse.append(float(np.sqrt(np.mean(np.concatenate(squares)))))
    rows.append(float(np.mean([len(train) for block in headline.blocks for train, _ in block.folds])))
    rmse.append(float(np.sqrt(np.mean(headline.errors(table)[0] ** 2))))
    slope = float(np.polyfit(np.log(rows), np.log(np.maximum(rmse, 1e-12)), 1)[0])
    return Growth(tuple(rows), tuple(rmse), max(0.0, -slope))


def _part(labels: np.ndarray, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Whole groups in random order until `share` of the rows is reached, and never fewer than four rows."""
    wanted = max(4, round(share * len(rows)))
    groups = np.random.default_rng(seed).permutation(np.unique(labels[rows]))
    taken: list[int] = []
    for group in groups:
        if len(taken) >= wanted:
            break
        taken += rows[labels[rows] == group].tolist()
    return np.sort(np.array(taken, dtype=int))
