"""Prediction intervals by group-aware conformal prediction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Interval:
    """prediction ± half_width.

    Attributes:
        level: intended coverage, a fraction.
        half_width: in the target's unit.
        groups: calibration groups.
        guaranteed: whether there were enough groups for the level (at least level / (1 − level)); otherwise the half
            width is the largest error seen, and coverage can only be hoped for.
    """

    level: float
    half_width: float
    groups: int
    guaranteed: bool

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as JSON values."""
        return asdict(self)


def calibrate(errors: np.ndarray, groups: np.ndarray, level: float = 0.9) -> Interval:
    """The interval for a row of a group never seen, from errors of out-of-group predictions.

    Hierarchical conformal prediction (Lee, Barber & Willett 2023, "Distribution-free inference with hierarchical
    data"): groups, not rows, are exchangeable with the new one, so each group weighs 1 / (G + 1), shared by its rows,
    and the new group's 1 / (G + 1) sits at infinity. The half width is the level quantile of those weights.

    Args:
        errors: (n,), prediction − target, each by a model that saw nothing of the row's group.
        groups: (n,), labels.
        level: intended coverage.
    """
    labels, codes, sizes = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    size = np.abs(errors)
    order = np.argsort(size, kind="stable")
    weight = 1.0 / ((len(labels) + 1.0) * sizes[codes])
    reached = np.cumsum(weight[order])
    at = int(np.searchsorted(reached, level - 1e-12))
    guaranteed = at < len(order)
    half = float(size[order][at]) if guaranteed else float(size.max())
    return Interval(level, half, len(labels), guaranteed)


def coverage(errors: np.ndarray, groups: np.ndarray, level: float = 0.9) -> np.ndarray:
    """(n,) booleans: is each row inside the interval calibrated on all the other groups?"""
    labels, codes, sizes = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    if len(labels) < 2:
        return np.ones(len(errors), dtype=bool)
    size = np.abs(errors)
    order = np.argsort(size, kind="stable")
    owner, ranked = codes[order], size[order]
    weight = 1.0 / (len(labels) * sizes[owner])
    reached = np.cumsum(weight)
    half = np.empty(len(labels))
    for code in range(len(labels)):
        # What :func:`calibrate` would find without the group, from one sort for all groups: thousands are no burden.
        mine = owner == code
        others = reached - np.cumsum(np.where(mine, weight, 0.0))
        at = int(np.searchsorted(others, level - 1e-12))
        half[code] = ranked[at] if at < len(order) else ranked[~mine][-1]
    return size <= half[codes]
