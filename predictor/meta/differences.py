"""Differences of strong features: what one measurement says beyond another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

NONE = np.zeros((0, 2), dtype=int)


def strongest(matrix: np.ndarray, y: np.ndarray, count: int, skip: Sequence[int] = ()) -> np.ndarray:
    """Positions of the `count` number columns with the largest |Pearson correlation| with y, strongest first.

    Args:
        matrix: (n, d); a NaN counts as its column's median, so that a feature known for few rows is not strong by luck.
        y: (n,).
        skip: columns that take no part (category codes).

    Returns:
        At most `count` positions; columns that never vary are left out.
    """
    size = np.zeros(matrix.shape[1])
    centred = y - y.mean()
    for j in set(range(matrix.shape[1])) - set(skip):
        column = matrix[:, j]
        known = ~np.isnan(column)
        if not known.any():
            continue
        x = np.where(known, column, np.median(column[known]))
        x = x - x.mean()
        norm = float(np.sqrt((x @ x) * (centred @ centred)))
        if norm > 0:
            size[j] = abs(float(x @ centred)) / norm
    order = np.argsort(-size, kind="stable")[: max(0, count)]
    return order[size[order] > 0]


def strongest_pairs(matrix: np.ndarray, y: np.ndarray, count: int, skip: Sequence[int] = ()) -> np.ndarray:
    """(k, 2) positions: every pair of the `count` strongest columns."""
    pairs = list(combinations(strongest(matrix, y, count, skip), 2))
    return np.array(pairs, dtype=int) if pairs else NONE


def widen(matrix: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(n, d + k): the matrix with one column for each pair, the first feature minus the second (NaN if either is)."""
    if not len(pairs):
        return matrix
    return np.hstack([matrix, matrix[:, pairs[:, 0]] - matrix[:, pairs[:, 1]]])


def narrow(values: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """(n, d + 1) from SHAP values (n, d + k + 1) of widened rows, the base value last; row sums stay the same.

    A difference belongs to both of its features alike, so each gets half of its value.
    """
    k = len(pairs)
    d = values.shape[1] - k - 1
    out = np.hstack([values[:, :d], values[:, -1:]])
    for position, (left, right) in enumerate(pairs):
        out[:, left] += 0.5 * values[:, d + position]
        out[:, right] += 0.5 * values[:, d + position]
    return out
