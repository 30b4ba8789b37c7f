"""The linear part of a predictor: ridge regression on standardised, clipped features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_DECADE = 10.0


@dataclass(frozen=True)
class Linear:
    """y = intercept + Σ coef_j · z_j, with z = clip((s(x) − center) / scale, low, high) and z = 0 where x is NaN.

    s(x) is ln x of a feature that spans decades (a size, a rate, a perplexity), where a step means a factor, else x.
    z is clipped to what training saw, so that a feature far outside it cannot carry the prediction away.

    Attributes:
        columns: positions of its features in the matrix, (k,).
        logged: whether s is the logarithm, (k,).
        center, scale, low, high, coef: (k,). intercept: the mean of the training target.
        mean: mean of z over training, (k,), the reference of the contributions.
    """

    columns: np.ndarray
    logged: np.ndarray
    center: np.ndarray
    scale: np.ndarray
    low: np.ndarray
    high: np.ndarray
    coef: np.ndarray
    mean: np.ndarray
    intercept: float

    def z(self, matrix: np.ndarray) -> np.ndarray:
        """(n, k) its features, standardised and clipped, from a matrix (n, d); 0 for NaN."""
        z = (_scaled(matrix[:, self.columns], self.logged) - self.center) / self.scale
        return np.clip(np.where(np.isnan(z), 0.0, z), self.low, self.high)

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """(n,) from a matrix (n, d)."""
        return self.contributions(matrix).sum(axis=1)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """(n, d + 1): exact SHAP values of a linear model, coef_j · (z_j − mean z_j), and the base value at the end."""
        n, d = matrix.shape
        out = np.zeros((n, d + 1))
        out[:, self.columns] = (self.z(matrix) - self.mean) * self.coef
        out[:, d] = self.intercept + float(self.mean @ self.coef)
        return out

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as JSON values."""
        arrays = ("columns", "logged", "center", "scale", "low", "high", "coef", "mean")
        return {**{name: getattr(self, name).tolist() for name in arrays}, "intercept": self.intercept}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Linear:
        """The linear part of which :meth:`to_json` gave the fields."""
        types: dict[str, type] = {"columns": int, "logged": bool}
        arrays: dict[str, Any] = {
            name: np.asarray(data[name], dtype=types.get(name, float)) for name in data if name != "intercept"
        }
        return cls(intercept=float(data["intercept"]), **arrays)


def fit_linear(matrix: np.ndarray, y: np.ndarray, alpha: float, skip: Sequence[int] = ()) -> Linear:
    """Ridge: minimise Σ(y − ŷ)² + alpha · n · |coef|², so that alpha means the same for any number of rows.

    Args:
        matrix: (n, d); NaN is filled with the column's median.
        y: (n,).
        alpha: penalty on standardised features.
        skip: columns that take no part (category codes).
    """
    n, d = matrix.shape
    with np.errstate(all="ignore"):
        known = ~np.isnan(matrix).all(axis=0)
    columns = np.array([j for j in range(d) if known[j] and j not in set(skip)], dtype=int)
    raw = matrix[:, columns]
    smallest, largest = np.fmin.reduce(raw, axis=0, initial=np.inf), np.fmax.reduce(raw, axis=0, initial=-np.inf)
    logged = spans_decades(smallest, largest)
    x = _scaled(raw, logged)
    center = np.nanmedian(x, axis=0) if len(columns) else np.zeros(0)
    filled = np.where(np.isnan(x), center, x)
    # Mean absolute deviation: one wild value does not squeeze all the others together, as it would with the variance.
    scale = np.mean(np.abs(filled - center), axis=0) if len(columns) else np.zeros(0)
    varies = scale > 1e-12 * np.maximum(1.0, np.abs(center))
    columns, logged = columns[varies], logged[varies]
    center, scale, filled = center[varies], scale[varies], filled[:, varies]
    z = np.clip((filled - center) / scale, -4.0, 4.0) if len(columns) else np.zeros((n, 0))
    mean = z.mean(axis=0)
    centred = z - mean
    intercept = float(y.mean())
    coef = _ridge(centred, y - intercept, alpha * n)
    low = z.min(axis=0) if len(columns) else np.zeros(0)
    high = z.max(axis=0) if len(columns) else np.zeros(0)
    return Linear(columns, logged, center, scale, low, high, coef, mean, intercept - float(mean @ coef))


def _scaled(x: np.ndarray, logged: np.ndarray) -> np.ndarray:
    """(n, k) each column as it is, or its logarithm: −∞ of what is not above 0, which is then clipped."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(logged, np.log(np.maximum(x, 0.0)), x)


def spans_decades(smallest: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """(k,) whether features whose values lie between these are above 0 and best measured by ratios."""
    return (smallest > 0) & (largest >= _DECADE * smallest)


def _ridge(z: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """The dual form where features outnumber rows: it is the smaller system."""
    n, k = z.shape
    if k == 0:
        return np.zeros(0)
    if k <= n:
        return np.linalg.solve(z.T @ z + penalty * np.eye(k), z.T @ y)
    return z.T @ np.linalg.solve(z @ z.T + penalty * np.eye(n), y)
