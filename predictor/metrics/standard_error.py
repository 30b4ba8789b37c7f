"""How far a score on n questions would move if other questions of the same kind had been asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 1000


def bernoulli_se(p: float, n: int) -> float:
    """√(p(1 − p)/n): the standard error of a share p of n questions that are right or wrong; NaN outside [0, 1]."""
    return math.sqrt(p * (1.0 - p) / n) if 0.0 <= p <= 1.0 else math.nan


def mean_se(rows: Sequence[float]) -> float:
    """The standard error of the mean of n rows: their standard deviation (n − 1) over √n; NaN for one row."""
    return float(np.std(rows, ddof=1) / math.sqrt(len(rows))) if len(rows) > 1 else math.nan


def bootstrap_se(statistic: Callable[[np.ndarray], float], n: int, *, resamples: int = RESAMPLES) -> float:
    """The standard deviation of a statistic over samples of its n rows with replacement.

    The bootstrap (Efron 1979, "Bootstrap methods: another look at the jackknife"). The same rows give the same number:
    the samples are seeded.

    Args:
        statistic: from the positions of a sample's rows, (n,), to its value. Samples in which it is not defined (a
            correlation of constants) are left out.

    Returns:
        NaN for one row, or when the statistic is not defined in half of the samples or more.
    """
    if n < 2:
        return math.nan
    rng = np.random.default_rng(0)
    values = np.array([statistic(rng.integers(0, n, n)) for _ in range(resamples)], dtype=float)
    values = values[np.isfinite(values)]
    return float(np.std(values, ddof=1)) if 2 * len(values) > resamples else math.nan
