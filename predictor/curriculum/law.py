"""The power law of scores against rows, with the interval of what it says of other numbers of rows.

score(n) = a ∓ b · n^(−c), as learning curves of language models have it (Hestness et al. 2017, "Deep learning scaling
is predictable, empirically"; Kaplan et al. 2020). With four sizes or more a, what any number of rows would reach, is
fitted; with two or three it is the best score that there is, as three numbers cannot be learnt from three points.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from predictor.errors import TableError
from predictor.schema.targets import Target

LEVEL: Final = 0.9
_DRAWS: Final = 400
_STEEPEST: Final = 3.0
_FREE: Final = 4
_EXPONENTS: Final = np.linspace(0.02, _STEEPEST, 150)


@dataclass(frozen=True)
class Law:
    """A fitted law.

    Attributes:
        limit, scale, exponent: a, b, c. sign: 1 where the score rises with rows, −1 where it falls.
        draws: (draws, 3), the same of scores drawn within their errors. noise: standard error of one measured score.
        sizes: different numbers of rows that it was fitted to.
    """

    limit: float
    scale: float
    exponent: float
    sign: float
    draws: np.ndarray
    noise: float
    sizes: int

    def at(self, rows: float) -> float:
        """What it says of so many rows."""
        return self.limit - self.sign * self.scale * rows**-self.exponent

    def interval(self, rows: float) -> tuple[float, float]:
        """Where a measured score of so many rows lies with probability :data:`LEVEL`."""
        a, b, c = self.draws.T
        said = a - self.sign * b * rows**-c
        noise = np.random.default_rng(1).normal(0.0, self.noise, len(said))
        low, high = np.quantile(said + noise, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
        return float(low), float(high)


def fit_law(rows: Sequence[float], scores: Sequence[float], errors: Sequence[float], target: Target) -> Law:
    """The law through mean scores by least squares weighted by their errors.

    Args:
        rows, scores, errors: one for each size: numbers of rows, mean scores, their standard errors (NaN: unknown).

    Raises:
        TableError: fewer than two sizes, or two or three where the score has no best value.
    """
    n, y = np.asarray(rows, dtype=float), np.asarray(scores, dtype=float)
    se = np.asarray(errors, dtype=float)
    known = se[np.isfinite(se) & (se > 0)]
    se = np.where(np.isfinite(se) & (se > 0), se, known.mean() if len(known) else 1e-3)
    best = target.high if target.higher_is_better else target.low
    sizes = len(set(n.tolist()))
    if sizes < 2 or (sizes < _FREE and best is None):
        raise TableError(
            f"no law can be fitted to {sizes} sizes",
            rule=f"at least 2 sizes for a score with a best value, {_FREE} for any other",
            fix="more ratios",
        )
    sign = target.sign
    limit, scale, exponent = _fit(n, y, se, sign, best, free=sizes >= _FREE).tolist()
    drawn = np.random.default_rng(0).normal(y, se, (_DRAWS, len(y)))
    draws = _on_grid(n, drawn, se, sign, best, free=sizes >= _FREE)
    return Law(limit, scale, exponent, sign, draws, float(se.mean()), sizes)


def _fit(n: np.ndarray, y: np.ndarray, se: np.ndarray, sign: float, best: float | None, *, free: bool) -> np.ndarray:
    """a, b, c by scipy from where a grid of exponents puts them; (3,)."""
    from scipy.optimize import curve_fit

    start = _on_grid(n, y[None], se, sign, best, free=free)[0]
    limit, scale, exponent = sign * start[0], start[1], start[2]
    top = _top(sign * y, sign, best)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a covariance that three points do not give
        try:
            if free:
                bounds = ([-np.inf, 0.0, 0.0], [top + 1e-9, np.inf, _STEEPEST])
                fitted, _ = curve_fit(
                    lambda x, a, b, c: a - b * x**-c, n, sign * y, [limit, scale, exponent], se, bounds=bounds
                )
                return np.array([sign * min(fitted[0], top), fitted[1], fitted[2]])
            bounds = ([0.0, 0.0], [np.inf, _STEEPEST])
            fitted, _ = curve_fit(lambda x, b, c: limit - b * x**-c, n, sign * y, [scale, exponent], se, bounds=bounds)
            return np.array([sign * limit, fitted[0], fitted[1]])
        except (RuntimeError, ValueError):  # no convergence: the grid stands
            return start


def _on_grid(
    n: np.ndarray, ys: np.ndarray, se: np.ndarray, sign: float, best: float | None, *, free: bool
) -> np.ndarray:
    """a, b, c of each row of scores, (rows, 3): a and b are a weighted line for each exponent; the nearest is taken.

    b is never negative: more rows of the same kind are not expected to harm.
    """
    rising, weights = sign * ys, 1.0 / se**2
    top = np.array([_top(row, sign, best) for row in rising])
    found = np.zeros((len(ys), 3))
    least = np.full(len(ys), math.inf)
    for c in _EXPONENTS:
        x = n**-c
        limit = top
        if free:
            middle_x, middle = np.average(x, weights=weights), np.average(rising, axis=1, weights=weights)
            spread = (weights * (x - middle_x) ** 2).sum()
            slope = np.maximum(0.0, -(rising * (weights * (x - middle_x))).sum(axis=1) / spread)
            limit = np.minimum(top, middle + slope * middle_x)
        scale = np.maximum(0.0, ((limit[:, None] - rising) * (weights * x)).sum(axis=1) / (weights * x * x).sum())
        misses = ((limit[:, None] - scale[:, None] * x - rising) ** 2 * weights).sum(axis=1)
        nearer = misses < least
        least = np.where(nearer, misses, least)
        found[nearer] = np.stack([sign * limit, scale, np.full(len(ys), c)], axis=1)[nearer]
    return found


def _top(rising: np.ndarray, sign: float, best: float | None) -> float:
    """The highest limit: the best score that there is, or of a score without one far above what was seen."""
    if best is not None:
        return sign * best
    return float(rising.max() + 10.0 * max(np.ptp(rising), 1e-6))
