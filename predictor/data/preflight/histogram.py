"""The distribution of a count over rows, in few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

BINS = 24


def distribution(values: Sequence[int]) -> dict[str, Any]:
    """Mean, quantiles and a histogram of at most `BINS` equal bins from 0 to the 99.5th percentile.

    Returns:
        `edges` (bins + 1) and `counts` (bins); what lies beyond the last edge is counted in the last bin.
    """
    import numpy as np

    if not len(values):
        return {"rows": 0}
    numbers = np.asarray(values, dtype=np.int64)
    top = max(1, int(np.ceil(np.quantile(numbers, 0.995))))
    edges = np.linspace(0, top, min(BINS, top) + 1)
    counts, _ = np.histogram(np.minimum(numbers, top), bins=edges)
    return {
        "rows": len(numbers),
        "mean": float(numbers.mean()),
        "median": float(np.median(numbers)),
        "p95": float(np.quantile(numbers, 0.95)),
        "max": int(numbers.max()),
        "edges": [round(float(edge), 3) for edge in edges],
        "counts": counts.tolist(),
    }
