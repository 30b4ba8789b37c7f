"""The distribution of a count over rows, in few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BINS = 24


def distribution(values: Sequence[int]) -> dict[str, Any]:
    """Mean, quantiles and a histogram of `BINS` or so equal bins, whole numbers wide, from 0 to the 99.5th percentile.

    Returns:
        `edges` (bins + 1) and `counts` (bins); a bin holds its left edge, the last one all that lies beyond it.
    """
    import numpy as np

    if not len(values):
        return {"rows": 0}
    numbers = np.asarray(values, dtype=np.int64)
    top = int(np.ceil(np.quantile(numbers, 0.995)))
    width = top // BINS + 1
    bins = top // width + 1
    counts = np.bincount(np.minimum(numbers // width, bins - 1), minlength=bins)
    return {
        "rows": len(numbers),
        "mean": float(numbers.mean()),
        "median": float(np.median(numbers)),
        "p95": float(np.quantile(numbers, 0.95)),
        "max": int(numbers.max()),
        "edges": [edge * width for edge in range(bins + 1)],
        "counts": counts.tolist(),
    }
