"""How near given numbers come to those that people gave: errors, correlations, shares of a class, and how they spread.

Pure functions of two equally long rows of numbers, `given` and `said`. What is not defined (a correlation with a
constant, a mean of nothing) is NaN, never a number that could pass for a result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

Numbers = Sequence[float] | np.ndarray


def mae(given: Numbers, said: Numbers) -> float:
    """Mean absolute difference, in the numbers' own unit; NaN of none."""
    a, b = _pair(given, said)
    return float(np.abs(a - b).mean()) if len(a) else math.nan


def rmse(given: Numbers, said: Numbers) -> float:
    """Root of the mean squared difference, in the numbers' own unit; NaN of none."""
    a, b = _pair(given, said)
    return float(np.sqrt(((a - b) ** 2).mean())) if len(a) else math.nan


def pearson(given: Numbers, said: Numbers) -> float:
    """Pearson's correlation, in [-1, 1]; NaN of fewer than two rows, or where one side is constant."""
    a, b = _pair(given, said)
    if is_constant(a) or is_constant(b):
        return math.nan
    a, b = a - a.mean(), b - b.mean()
    norm = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return float(np.clip((a @ b) / norm, -1.0, 1.0)) if norm > 0 else math.nan


def spearman(given: Numbers, said: Numbers) -> float:
    """Pearson's correlation of the ranks, equal values sharing their mean rank (Spearman 1904), in [-1, 1]."""
    a, b = _pair(given, said)
    return pearson(_ranks(a), _ranks(b)) if len(a) else math.nan


def binned_accuracy(given: Numbers, said: Numbers, edges: Numbers) -> float:
    """Share of rows whose two numbers fall into the same bin, in [0, 1]; NaN of none."""
    a, b = _pair(given, said)
    return float((bins(a, edges) == bins(b, edges)).mean()) if len(a) else math.nan


def bins(values: Numbers, edges: Numbers) -> np.ndarray:
    """The bin of each value, (n,) whole numbers from 0.

    Args:
        edges: the inner borders between bins, rising; a value on a border is of the bin above it.
    """
    return np.searchsorted(np.asarray(edges, dtype=float), np.asarray(values, dtype=float), side="right")


def confusion(given: Numbers, said: Numbers, edges: Numbers) -> np.ndarray:
    """Rows counted by the bin of what was given (first axis) and of what was said, (bins, bins)."""
    a, b = _pair(given, said)
    size = len(edges) + 1
    counts = np.zeros((size, size), dtype=int)
    np.add.at(counts, (bins(a, edges), bins(b, edges)), 1)
    return counts


def entropy(values: Numbers, edges: Numbers) -> float:
    """How evenly values fill the bins: Shannon's entropy over its largest value, in [0, 1]; 0 where all are in one."""
    counts = np.bincount(bins(values, edges), minlength=len(edges) + 1)
    if not counts.sum() or len(counts) < 2:
        return math.nan
    shares = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(shares * np.log(shares)).sum() / math.log(len(counts))))


def commonest_share(values: Numbers) -> float:
    """Share of the rows that hold the commonest value, in (0, 1]; 1 of values that are all the same, NaN of none."""
    array = np.round(np.asarray(values, dtype=float), 9)
    return float(np.unique(array, return_counts=True)[1].max() / len(array)) if len(array) else math.nan


def is_constant(values: Numbers) -> bool:
    """Whether there is no variety: fewer than two different values."""
    array = np.asarray(values, dtype=float)
    return len(array) < 2 or bool(np.ptp(array) <= 1e-12 * max(1.0, float(np.abs(array).max())))


def correlations(columns: np.ndarray) -> np.ndarray:
    """Pearson's correlation of each two columns, (d, d) of (n, d); a row counts for a pair that it has both numbers of.

    NaN where a pair has no variety in the rows that it shares.
    """
    d = columns.shape[1]
    found = np.full((d, d), math.nan)
    for i in range(d):
        found[i, i] = 1.0 if not is_constant(columns[np.isfinite(columns[:, i]), i]) else math.nan
    for i, j in combinations(range(d), 2):
        both = np.isfinite(columns[:, i]) & np.isfinite(columns[:, j])
        found[i, j] = found[j, i] = pearson(columns[both, i], columns[both, j])
    return found


def consistency(given: np.ndarray, said: np.ndarray) -> float:
    """How like the correlations between dimensions are, in [0, 1]: 1 less half their mean absolute difference.

    Args:
        given, said: correlations of the same dimensions, (d, d).

    Returns:
        NaN where no pair of dimensions has both correlations, as when the answers have collapsed to one value.
    """
    upper = np.triu_indices(len(given), 1)
    differences = np.abs(np.asarray(given)[upper] - np.asarray(said)[upper])
    differences = differences[np.isfinite(differences)]
    return float(1.0 - differences.mean() / 2.0) if len(differences) else math.nan


def pearson_se(r: float, n: int) -> float:
    """The standard error of a correlation r of n rows, (1 − r²)/√(n − 1) (Pearson 1898); NaN below three rows."""
    return (1.0 - r * r) / math.sqrt(n - 1) if n > 2 else math.nan


def _pair(given: Numbers, said: Numbers) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(given, dtype=float), np.asarray(said, dtype=float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"{a.shape} and {b.shape}: two rows of numbers of the same length are compared")
    return a, b


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: np.ndarray = (ends - (counts + 1) / 2.0)[place]
    return ranks
