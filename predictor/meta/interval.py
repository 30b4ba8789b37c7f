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
    labels = np.asarray(groups, dtype=str)
    inside = np.zeros(len(errors), dtype=bool)
    for label in np.unique(labels):
        mine = labels == label
        if mine.all():
            return np.ones(len(errors), dtype=bool)
        half = calibrate(errors[~mine], labels[~mine], level).half_width
        inside[mine] = np.abs(errors[mine]) <= half
    return inside
