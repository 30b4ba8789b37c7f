"""What the training rows looked like, and how far outside it a new row lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.meta.splits import group_folds

FALSE_ALARMS = 0.05
"""Share of the training groups that would be flagged, had they been new."""


@dataclass(frozen=True)
class Domain:
    """Range of each feature in training, and the excess at which a row counts as unlike anything seen.

    The excess of a row is its largest distance outside a feature's range, in units of the feature's mean absolute
    deviation. With many features and few rows nearly every honest newcomer is a little outside somewhere; the limit is
    therefore the excess that all but 5 % of the training groups stay under when they are held out in turn.

    Attributes:
        low, high, scale: (d,); NaN for a feature that was never known.
        quantiles: (d, 11), deciles of each feature in training, for explanations.
        limit: the excess above which a row is flagged.
    """

    low: np.ndarray
    high: np.ndarray
    scale: np.ndarray
    quantiles: np.ndarray
    limit: float

    def excess(self, matrix: np.ndarray) -> np.ndarray:
        """(n, d) distances outside the ranges, 0 inside and for NaN."""
        return _excess(matrix, self.low, self.high, self.scale)

    def share_below(self, column: int, value: float) -> float:
        """The part of the training rows whose feature lies below `value`, to the nearest tenth."""
        return float(np.mean(self.quantiles[column] < value)) if np.isfinite(value) else float("nan")

    def to_json(self) -> dict[str, Any]:
        arrays = {name: _listed(getattr(self, name)) for name in ("low", "high", "scale")}
        return {**arrays, "quantiles": [_listed(row) for row in self.quantiles], "limit": self.limit}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Domain:
        arrays = {name: np.array(data[name], dtype=float) for name in ("low", "high", "scale", "quantiles")}
        return cls(**arrays, limit=float(data["limit"]))


def learn(matrix: np.ndarray, groups: np.ndarray, seed: int = 0) -> Domain:
    """The domain of a training matrix (n, d) with its groups (n,)."""
    low, high, scale = _ranges(matrix)
    folds = group_folds(groups, 50, seed)
    worst = []
    for train, test in folds:
        if len(train):
            worst.append(_excess(matrix[test], *_ranges(matrix[train])).max())
    limit = float(np.quantile(worst, 1.0 - FALSE_ALARMS)) if worst else 0.0
    quantiles = np.array([_deciles(column) for column in matrix.T]).reshape(matrix.shape[1], 11)
    return Domain(low, high, scale, quantiles, limit)


def _ranges(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    d = matrix.shape[1]
    low, high, scale = np.full(d, np.nan), np.full(d, np.nan), np.full(d, np.nan)
    for j in range(d):
        known = matrix[~np.isnan(matrix[:, j]), j]
        if len(known):
            low[j], high[j] = known.min(), known.max()
            spread = float(np.mean(np.abs(known - np.median(known))))
            # A feature that never varied has no unit of its own: a tenth of its value is one.
            scale[j] = spread if spread > 0 else 0.1 * (abs(known[0]) or 1.0)
    return low, high, scale


def _excess(matrix: np.ndarray, low: np.ndarray, high: np.ndarray, scale: np.ndarray) -> np.ndarray:
    outside = np.maximum(low - matrix, matrix - high) / scale
    return np.where(np.isnan(outside), 0.0, np.maximum(outside, 0.0))


def _deciles(column: np.ndarray) -> np.ndarray:
    known = column[~np.isnan(column)]
    return np.quantile(known, np.linspace(0, 1, 11)) if len(known) else np.full(11, np.nan)


def _listed(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN; numpy reads None back as NaN."""
    return [None if np.isnan(v) else float(v) for v in values]
