"""Whose intervals hold: the coverage of the groups, one by one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from predictor.meta.interval import coverage
from predictor.report.labels import readable
from predictor.schema.targets import Target

COVERAGE_HEAD = ("group", "rows", "covered", "mean error")
"""Of the rows of :func:`coverage_rows`; the error is predicted − measured, in points of the target."""


def coverage_rows(
    errors: np.ndarray,
    groups: np.ndarray,
    target: Target,
    names: Mapping[str, str] | None = None,
    level: float = 0.9,
    shown: int = 100,
) -> list[list[str]]:
    """A row of text for each group, the worst covered first, then those with the largest mean error.

    Each group's interval is calibrated on all the others, so that a row says what a user of a new dataset would have
    met: a mean over all rows hides a group of which no row is inside.

    Args:
        errors: (n,), predicted − measured, in the target's unit, each by a model that saw nothing of the row's group.
        groups: (n,), labels.
        target: whose errors they are.
        names: label → a name that people know.
        level: intended coverage, a fraction.
        shown: groups; the others are summed up in one last row.
    """
    labels, codes, sizes = np.unique(np.asarray(groups, dtype=str), return_inverse=True, return_counts=True)
    covered = np.bincount(codes, weights=coverage(errors, groups, level)) / sizes
    mean = np.bincount(codes, weights=errors) / sizes
    order = np.lexsort((-np.abs(mean), covered))
    known = names or {}
    rows = [
        _row(known.get(labels[k], labels[k]), sizes[k], covered[k], target.text(mean[k], 1))
        for k in order[:shown].tolist()
    ]
    rest = order[shown:]
    if len(rest):
        size = sizes[rest].sum()
        share, error = ((sizes[rest] * values[rest]).sum() / size for values in (covered, mean))
        rows.append(_row(f"{len(rest)} other groups", size, share, target.text(error, 1)))
    return rows


def _row(name: str, size: int, covered: float, error: str) -> list[str]:
    return [readable(name), str(size), f"{100 * covered:.0f} %", error if error.startswith("-") else f"+{error}"]
