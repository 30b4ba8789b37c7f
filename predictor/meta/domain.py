"""What the training rows looked like, and how far outside it a new row lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.meta.linear import spans_decades
from predictor.meta.splits import group_folds

FALSE_ALARMS = 0.05
"""Share of the training groups that would be flagged, had they been new."""
_LARGEST_RATIO = 0.5
"""One step of a ratio, at most: one run that diverged would otherwise let a later one be a billion times worse."""
_BELOW = np.log(100.0)
"""Zero is as far below the smallest ratio as a hundredth of it."""


@dataclass(frozen=True)
class Side:
    """Where one end of each feature's range lies, and what counts as a step beyond it.

    Attributes:
        sign: 1 for the upper ends, −1 for the lower ones: values are multiplied by it, so that further out is more.
        end: (d,) the outermost value of training, times `sign`, of the logarithm where `log`; NaN where never known.
        unit: (d,) one step beyond the end.
        log: (d,) booleans: steps are ratios.
    """

    sign: float
    end: np.ndarray
    unit: np.ndarray
    log: np.ndarray

    def excess(self, matrix: np.ndarray) -> np.ndarray:
        """(n, d) steps beyond the end, 0 inside and for NaN."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.sign * np.where(self.log, np.log(np.maximum(matrix, 0.0)), matrix)
            beyond = np.minimum(value - self.end, np.where(self.log & (self.sign < 0), _BELOW, np.inf)) / self.unit
        return np.where(beyond > 0.0, beyond, 0.0)

    def to_json(self) -> dict[str, Any]:
        """The fields but the sign, which the reader knows, as JSON values; null for NaN."""
        return {"end": _listed(self.end), "unit": _listed(self.unit), "log": self.log.tolist()}

    @classmethod
    def from_json(cls, sign: float, data: dict[str, Any]) -> Side:
        """The side of which :meth:`to_json` gave the fields."""
        end, unit = (np.array(data[name], dtype=float) for name in ("end", "unit"))
        return cls(sign, end, unit, np.array(data["log"], dtype=bool))


@dataclass(frozen=True)
class Domain:
    """Range of each feature in training, and the limit beyond it at which a row counts as unlike anything seen.

    Each end of each feature has a unit of its own, the mean step by which its outermost groups lie beyond the next
    ones, so a limit of so many units is another limit for each feature. The number of units is one for all, and stands
    for all features together: a row of a group like those of training is flagged in 5 % of cases, whatever the number
    of features.

    Attributes:
        upper, lower: the ends of the ranges.
        quantiles: (d, 11), deciles of each feature in training, for explanations.
        limit: the excess, in units, above which a row is flagged.
    """

    upper: Side
    lower: Side
    quantiles: np.ndarray
    limit: float

    def excess(self, matrix: np.ndarray) -> np.ndarray:
        """(n, d) distances outside the ranges in units of each feature, 0 inside and for NaN."""
        return np.maximum(self.upper.excess(matrix), self.lower.excess(matrix))

    def share_below(self, column: int, value: float) -> float:
        """The part of the training rows whose feature lies below `value`, to the nearest tenth."""
        return float(np.mean(self.quantiles[column] < value)) if np.isfinite(value) else float("nan")

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as JSON values."""
        sides = {"upper": self.upper.to_json(), "lower": self.lower.to_json()}
        return {**sides, "quantiles": [_listed(row) for row in self.quantiles], "limit": self.limit}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Domain:
        """The domain of which :meth:`to_json` gave the fields."""
        quantiles = np.array(data["quantiles"], dtype=float)
        upper, lower = Side.from_json(1.0, data["upper"]), Side.from_json(-1.0, data["lower"])
        return cls(upper, lower, quantiles, float(data["limit"]))


def learn(matrix: np.ndarray, groups: np.ndarray, seed: int = 0, categorical: Sequence[int] = ()) -> Domain:
    """The domain of a training matrix (n, d) with its groups (n,).

    Args:
        categorical: columns that hold codes of categories, which have no range.

    Were the steps beyond the outermost of G groups exponential, a new group would lie t units beyond it with
    probability exp(−t) / (G + 1) at each of m ends, so Bonferroni's limit for a false alarm anywhere with probability
    α is ln(m / (α (G + 1))). Real tails are heavier: the limit is raised to what the training groups need when each is
    held out in turn.
    """
    outermost = _outermost(matrix, groups, categorical)
    upper, lower = _sides(*outermost)
    known = sum(int(np.isfinite(side.end).sum()) for side in (upper, lower))
    count = outermost[0].shape[0]
    bonferroni = np.log(max(known / (FALSE_ALARMS * (count + 1.0)), np.e))
    quantiles = np.array([_deciles(column) for column in matrix.T]).reshape(matrix.shape[1], 11)
    return Domain(upper, lower, quantiles, float(max(bonferroni, _needed(*outermost, seed))))


def _outermost(matrix: np.ndarray, groups: np.ndarray, categorical: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Largest and smallest value of each feature in each group, (groups, d) each, NaN where a group has none.

    A group counts once, whatever its size, and what it did inside its own range says nothing of what lies outside.
    """
    codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    high = np.full((codes.max(initial=-1) + 1, matrix.shape[1]), np.nan)
    low = high.copy()
    np.fmax.at(high, codes, matrix)
    np.fmin.at(low, codes, matrix)
    for ends in (high, low):
        ends[:, list(categorical)] = np.nan
    return high, low


def _sides(high: np.ndarray, low: np.ndarray) -> tuple[Side, Side]:
    """Both ends of each feature, each on the strictest scale that the training groups allow.

    Upwards, differences are stricter than ratios; downwards, ratios are. The other scale is taken where the strict one
    sees the outermost group far beyond the others: such a tail is heavy, and the next newcomer may lie as far again.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        smallest, largest = np.fmin.reduce(low, axis=0), np.fmax.reduce(high, axis=0)
        decades = spans_decades(smallest, largest)
        ratios = [np.where(decades, np.log(ends), np.nan) for ends in (high, low)]
    upper = _strictest(1.0, _steps(high, False), _steps(ratios[0], True), False)
    return upper, _strictest(-1.0, _steps(-ratios[1], True), _steps(-low, False), True)


_Steps = tuple[np.ndarray, np.ndarray, np.ndarray]


def _strictest(sign: float, strict: _Steps, other: _Steps, strict_is_log: bool) -> Side:
    """The strict scale, unless it does not exist, or the first group leads as exponential tails do in 5 % of cases."""
    end, unit, lead = strict
    heavy = (lead > -np.log(FALSE_ALARMS)) & (other[2] < lead)
    change = np.isfinite(other[0]) & (np.isnan(end) | heavy)
    return Side(sign, np.where(change, other[0], end), np.where(change, other[1], unit), change ^ strict_is_log)


def _steps(ends: np.ndarray, log: bool) -> _Steps:
    """End and unit of each column of `ends` (groups, d), and by how many units the first group leads the second.

    The lead is in units of what the other groups would have said of it.
    """
    ordered = -np.sort(-ends, axis=0)  # NaN last
    unit = _unit(ordered, log)
    if len(ordered) < 2:
        return ordered[0], unit, np.zeros_like(unit)
    lead = (ordered[0] - ordered[1]) / _unit(ordered[1:], log)
    return ordered[0], unit, np.where(np.isnan(lead), 0.0, lead)


def _unit(ordered: np.ndarray, log: bool) -> np.ndarray:
    """(d,) one step beyond the end, from the values of the groups (groups, d), outermost first.

    It is the mean excess of the k outermost over the next one, which estimates the scale of an exponential tail, with k
    about the root of their number. It is at least half the mean absolute deviation, since settings chosen from a grid
    share their end; at least one percent of the usual value; and five percent, of 1 where the usual value is 0, for a
    feature that is the same in nine tenths of the groups, whose few other values say nothing of a scale.
    """
    known = np.isfinite(ordered).sum(axis=0)
    column = np.arange(ordered.shape[1])
    k = np.clip(np.rint(np.sqrt(known)).astype(int), 1, np.maximum(known - 1, 1))
    tail = np.cumsum(ordered, axis=0)[k - 1, column] / k - ordered[np.minimum(k, len(ordered) - 1), column]
    usual = ordered[np.maximum(known - 1, 0) // 2, column]
    away = np.abs(ordered - usual)
    spread = np.nansum(away, axis=0) / np.maximum(known, 1)
    size = np.ones_like(usual) if log else np.abs(usual)
    moved = (away > 1e-9 * np.maximum(size, 1.0)).sum(axis=0)
    settled = moved < np.maximum(3.0, 0.1 * known)
    floor = np.where(settled, 0.05 * np.where(size > 0, size, 1.0), 0.01 * size)
    unit = np.fmax(np.maximum(0.5 * spread, floor), tail)
    if log:
        unit = np.minimum(unit, _LARGEST_RATIO)
    # Beyond the end of few groups a newcomer is found more often: ln((G + 1) / (known + 1)) steps, or more.
    return unit * (len(ordered) + 1.0) / (known + 1.0)


def _needed(high: np.ndarray, low: np.ndarray, seed: int) -> float:
    """The number of units that all but 5 % of the groups stay under when each is held out in turn.

    Of a few dozen groups the largest two or three decide nothing: their own excess may be any. It is read off the
    exponential tail through the quantiles 0.5, 0.75 and 0.9, q(0.95) = q(0.75) + q(0.9) − q(0.5).
    """
    worst: list[float] = []
    for train, test in group_folds(np.arange(len(high)), 50, seed):
        if len(train):
            upper, lower = _sides(high[train], low[train])
            worst.extend(np.maximum(upper.excess(high[test]), lower.excess(low[test])).max(axis=1, initial=0.0))
    half, quarter, tenth = np.quantile(worst or [0.0], (0.5, 0.75, 0.9))
    return float(quarter + tenth - half)


def _deciles(column: np.ndarray) -> np.ndarray:
    known = column[~np.isnan(column)]
    return np.quantile(known, np.linspace(0, 1, 11)) if len(known) else np.full(11, np.nan)


def _listed(values: np.ndarray) -> list[float | None]:
    """JSON has no NaN; numpy reads None back as NaN."""
    return [None if np.isnan(v) else float(v) for v in values]
