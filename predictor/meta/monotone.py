"""A curve through one feature that only rises, or only falls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Monotone:
    """y = f(x) of one feature: linear between knots, constant beyond the outermost.

    Attributes:
        column: position of the feature in the matrix.
        x, y: the knots, (k,), x rising.
        mean: mean of f over training, the reference of the contributions and what is said where x is NaN.
    """

    column: int
    x: np.ndarray
    y: np.ndarray
    mean: float

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """(n,) from a matrix (n, d)."""
        x = matrix[:, self.column]
        return np.where(np.isnan(x), self.mean, np.interp(x, self.x, self.y))

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """(n, d + 1): the feature's exact SHAP values, f(x) − mean, and the mean at the end."""
        out = np.zeros((len(matrix), matrix.shape[1] + 1))
        out[:, self.column] = self.predict(matrix) - self.mean
        out[:, -1] = self.mean
        return out

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as JSON values."""
        return {"column": self.column, "x": self.x.tolist(), "y": self.y.tolist(), "mean": self.mean}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Monotone:
        """The curve of which :meth:`to_json` gave the fields."""
        return cls(int(data["column"]), np.array(data["x"]), np.array(data["y"]), float(data["mean"]))


def fit_monotone(matrix: np.ndarray, y: np.ndarray, column: int) -> Monotone:
    """Isotonic regression (Barlow et al. 1972), rising or falling as the rank correlation has it.

    Args:
        matrix: (n, d). y: (n,). Rows without the feature take no part.
        column: the feature; one that is never known gives the mean.
    """
    from sklearn.isotonic import IsotonicRegression  # a stored version imports this file, and needs no scikit-learn

    x = matrix[:, column]
    known = ~np.isnan(x)
    if len(np.unique(x[known])) < 2:
        return Monotone(column, np.zeros(1), np.full(1, y.mean()), float(y.mean()))
    fitted = IsotonicRegression(increasing=_rises(x[known], y[known])).fit(x[known], y[known])
    knots = np.asarray(fitted.X_thresholds_, dtype=float), np.asarray(fitted.y_thresholds_, dtype=float)
    return Monotone(column, *knots, float(np.interp(x[known], *knots).mean()))


def _rises(x: np.ndarray, y: np.ndarray) -> bool:
    from predictor.meta.scores import spearman

    return bool(spearman(x, y) >= 0)
