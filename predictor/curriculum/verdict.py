"""Whether an order of stages paid: its seeds against those of the same rows in no order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Verdict:
    """What the difference between the two is.

    Attributes:
        difference: mean over seeds of curriculum less control, in the score's unit; NaN without a control.
        low, high: its interval by Student's t over the seeds; NaN of fewer than two.
        seeds: pairs. words: what follows, in one line.
    """

    difference: float
    low: float
    high: float
    seeds: int
    words: str


def verdict(ordered: Mapping[int, float], control: Mapping[int, float], sign: float = 1.0) -> Verdict:
    """Compare final scores by seed; each seed's two chains have the same rows, steps and rates.

    Args:
        sign: −1 where lower is better.
    """
    from scipy.stats import t

    pairs = np.array([ordered[seed] - control[seed] for seed in sorted({*ordered} & {*control})], dtype=float)
    if not len(pairs):
        return Verdict(math.nan, math.nan, math.nan, 0, "no control was made: whether the order paid is not known")
    mean = float(pairs.mean())
    if len(pairs) < 2:
        return Verdict(mean, math.nan, math.nan, 1, "one seed: what chance alone does is not known")
    half = float(t.ppf(0.5 + CONFIDENCE / 2, len(pairs) - 1) * pairs.std(ddof=1) / math.sqrt(len(pairs)))
    low, high = mean - half, mean + half
    better, worse = (low > 0, high < 0) if sign > 0 else (high < 0, low > 0)
    said = (
        "the order paid by more than seeds"
        if better
        else "the order cost more than seeds"
        if worse
        else "the order made no difference beyond seeds"
    )
    return Verdict(mean, low, high, len(pairs), said)
