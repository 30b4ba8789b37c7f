"""Which trials are averaged: defaults first, others only when they help significantly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def group_errors(error: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """(G,): each group's RMSE, from errors (n,) and groups as codes 0 … G − 1 (n,).

    Their mean judges a trial: a row to be predicted is of a new group, so groups are the sample, and each counts as
    one. In a pool of rows one huge group, left out in a fold of its own and with it much of what teaches, would decide
    everything; in a mean of squares a few groups that nothing predicts would.
    """
    return np.sqrt(np.bincount(codes, weights=error**2) / np.bincount(codes))


def better(one: np.ndarray, other: np.ndarray) -> bool:
    """Are the group errors `one` (G,) less than `other` (G,) by more than a standard error of the mean difference?"""
    gain = other - one
    return len(gain) > 1 and bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def blend(predicted: np.ndarray, y: np.ndarray, codes: np.ndarray, begin: Sequence[int], members: int) -> list[int]:
    """Positions of the trials whose mean is the predictor; a position that occurs twice weighs twice.

    Forward selection with replacement (Caruana et al. 2004, "Ensemble selection from libraries of models") that begins
    with the defaults and stops when the best addition brings less than one standard error of its gain over groups: with
    few groups the best of many trials is best by luck.

    Args:
        predicted: (trials, n), by models that did not see the row's group.
        y: (n,). codes: (n,), groups as 0 … G − 1.
        begin: positions of the defaults.
        members: at most this many in all.
    """
    chosen = list(begin)[:members]
    now = group_errors(predicted[chosen].mean(axis=0) - y, codes)
    while len(chosen) < members:
        total = predicted[chosen].sum(axis=0)
        options = [group_errors((total + each) / (len(chosen) + 1) - y, codes) for each in predicted]
        best = int(np.argmin([option.mean() for option in options]))
        if not better(options[best], now):
            break
        chosen.append(best)
        now = options[best]
    # Members left over refit the same with other seeds, which steadies the trees.
    return sorted(chosen * max(1, members // len(chosen)))
