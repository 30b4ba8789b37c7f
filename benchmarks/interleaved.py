"""Two ways of doing a thing, timed in turns A B A B …, so that a machine that drifts drifts under both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def interleave(a: Callable[[], float], b: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    """Medians of A and of B, and the median of the ratios A/B taken pair by pair.

    Each callable measures itself once and returns the figure; the first round is a warm-up and is not counted.
    """
    pairs = [(a(), b()) for _ in range(rounds + 1)][1:]
    return (
        statistics.median(x for x, _ in pairs),
        statistics.median(y for _, y in pairs),
        statistics.median(x / y for x, y in pairs),
    )
