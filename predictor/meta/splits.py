"""Ways to cut a table into rows that teach and rows that test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Fold = tuple[np.ndarray, np.ndarray]
"""Positions of the rows that teach, and of the rows that test."""


def random_folds(n: int, folds: int, seed: int) -> list[Fold]:
    """K-fold over single rows: near-copies of a test row may teach, so its error is too good for new datasets."""
    from sklearn.model_selection import KFold  # a stored version imports this file, and needs no scikit-learn

    order = np.random.default_rng(seed).permutation(n)
    return [(np.sort(order[train]), np.sort(order[test])) for train, test in KFold(min(folds, n)).split(order)]


def group_folds(groups: Sequence[object] | np.ndarray, folds: int, seed: int) -> list[Fold]:
    """Leave-groups-out: every group is tested once, by a model that saw none of its rows.

    As many folds as groups give leave-one-group-out. With fewer, the largest groups are dealt first, each to the fold
    that holds the fewest rows, so that folds are of about equal size.

    scikit-learn's GroupKFold deals in the same way, but breaks ties of equal groups by an unstable sort whose order
    depends on the CPU, and its shuffled form looks at no sizes; LeaveOneGroupOut has the same folds in another order.
    """
    labels, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sizes = np.bincount(codes)
    folds = min(folds, len(labels))
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    filled = np.zeros(folds)
    home = np.zeros(len(labels), dtype=int)
    for label in sorted(shuffled, key=lambda code: -sizes[code]):
        home[label] = int(np.argmin(filled))
        filled[home[label]] += sizes[label]
    fold_of_row = home[codes]
    return [(np.flatnonzero(fold_of_row != f), np.flatnonzero(fold_of_row == f)) for f in range(folds)]


def tuning_folds(groups: np.ndarray, folds: int, seed: int) -> list[Fold]:
    """Grouped folds where there are at least three groups; with fewer, random ones are the only choice."""
    if len(np.unique(groups.astype(str))) >= 3:
        return group_folds(groups, folds, seed)
    return random_folds(len(groups), folds, seed)
