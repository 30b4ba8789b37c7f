"""Scores of predicted classes: accuracy, and precision, recall and F1 by class and averaged.

Precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN), each 0 where it has nothing to divide
by, as scikit-learn's `zero_division=0`. Macro averages are means over the classes that occur among the references, so
that a class without a single row does not count as one that is never found.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

UNKNOWN = -1
"""The code of an answer that names no class."""


def codes(names: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Positions of names in `labels`, (n,), :data:`UNKNOWN` where a name is none of them."""
    place = {label: position for position, label in enumerate(labels)}
    return np.array([place.get(name, UNKNOWN) for name in names], dtype=np.int64)


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often class i was called class j, (classes, classes + 1); the last column counts answers that name none.

    Args:
        truth: codes of the right classes, (n,). predicted: of the predicted ones, :data:`UNKNOWN` among them.
    """
    columns = np.where(predicted == UNKNOWN, classes, predicted)
    counts = np.bincount(truth * (classes + 1) + columns, minlength=classes * (classes + 1))
    return counts.reshape(classes, classes + 1)


def by_class(matrix: np.ndarray) -> np.ndarray:
    """Precision, recall, F1 and support of each class, (classes, 4), from :func:`confusion`."""
    right = np.diag(matrix).astype(float)
    support = matrix.sum(axis=1).astype(float)
    called = matrix[:, :-1].sum(axis=0).astype(float)
    return np.stack([_share(right, called), _share(right, support), _share(2 * right, support + called), support], 1)


def macro(matrix: np.ndarray) -> tuple[float, float, float]:
    """Macro precision, recall and F1 from :func:`confusion`; NaN without a reference."""
    table = by_class(matrix)
    table = table[table[:, 3] > 0]
    if not len(table):
        return (np.nan, np.nan, np.nan)
    precision, recall, f1 = table[:, :3].mean(axis=0)
    return float(precision), float(recall), float(f1)


def standard_errors(truth: np.ndarray, predicted: np.ndarray, classes: int, *, resamples: int = 1000) -> np.ndarray:
    """Bootstrap standard errors of precision, recall and F1 of each class, (classes, 3); the samples are seeded.

    NaN for a class that is missing in half of the samples or more.
    """
    rng = np.random.default_rng(0)
    count = len(truth)
    found = np.full((resamples, classes, 3), np.nan)
    for sample in range(resamples):
        rows = rng.integers(0, count, count)
        table = by_class(confusion(truth[rows], predicted[rows], classes))
        found[sample] = np.where(table[:, 3:] > 0, table[:, :3], np.nan)
    known = np.isfinite(found).sum(axis=0)
    with np.errstate(all="ignore"):
        mean = np.nansum(found, axis=0) / known
        spread = np.sqrt(np.nansum((found - mean) ** 2, axis=0) / (known - 1))
    return np.where(2 * known > resamples, spread, np.nan)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
