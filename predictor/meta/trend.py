"""What a member of a predictor says before its booster: a mean, a line, a ridge, a curve, or a corrected curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.meta.differences import strongest
from predictor.meta.linear import Linear, fit_linear
from predictor.meta.monotone import Monotone, fit_monotone
from predictor.meta.settings import Kind

LEAST_ALPHA = 0.01
"""Penalty of a line through one feature: there is nothing that it could be confused with."""


@dataclass(frozen=True)
class Trend:
    """ŷ = base + curve(x) + linear(x), each part where there is one.

    Attributes:
        base: the training mean where nothing else is fitted, else 0.
    """

    base: float
    curve: Monotone | None = None
    linear: Linear | None = None

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """(n,) from a matrix (n, d)."""
        return np.full(len(matrix), self.base) + sum(part.predict(matrix) for part in self._parts)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """(n, d + 1) exact SHAP values, the base value at the end."""
        out = np.zeros((len(matrix), matrix.shape[1] + 1))
        out[:, -1] = self.base
        for part in self._parts:
            out += part.contributions(matrix)
        return out

    @property
    def _parts(self) -> list[Monotone | Linear]:
        return [part for part in (self.curve, self.linear) if part is not None]

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as JSON values."""
        return {
            "base": self.base,
            "curve": self.curve.to_json() if self.curve else None,
            "linear": self.linear.to_json() if self.linear else None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Trend:
        """The trend of which :meth:`to_json` gave the fields."""
        curve = Monotone.from_json(data["curve"]) if data["curve"] else None
        return cls(float(data["base"]), curve, Linear.from_json(data["linear"]) if data["linear"] else None)


def fit_trend(
    kind: Kind,
    matrix: np.ndarray,
    y: np.ndarray,
    alpha: float,
    skip: Sequence[int] = (),
    anchor: int | None = None,
) -> Trend:
    """The trend of a kind (see :data:`predictor.meta.settings.Kind`).

    Args:
        matrix: (n, d). y: (n,).
        alpha: penalty of a ridge.
        skip: columns that take no part (category codes).
        anchor: the feature of a line or curve; None takes the one most correlated with y.
    """
    if kind == "ridge":
        return Trend(0.0, linear=fit_linear(matrix, y, alpha, skip))
    found = strongest(matrix, y, 1, skip).tolist() if anchor is None else [anchor]
    if kind == "mean" or not found:
        return Trend(float(y.mean()))
    if kind == "line":
        others = tuple(set(range(matrix.shape[1])) - set(found))
        return Trend(0.0, linear=fit_linear(matrix, y, LEAST_ALPHA, others))
    curve = fit_monotone(matrix, y, found[0])
    if kind == "curve":
        return Trend(0.0, curve)
    return Trend(0.0, curve, fit_linear(matrix, y - curve.predict(matrix), alpha, skip))
