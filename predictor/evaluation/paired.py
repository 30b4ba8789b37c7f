"""One number of two models on the same rows: the difference, its interval, and whether it is more than chance.

Rows are resampled as pairs, so what is hard for both models takes no part in the uncertainty of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

ALPHA: Final = 0.05
"""A difference that chance alone makes as large less often than this counts as one."""
RESAMPLES: Final = 2000
_SLOW_RESAMPLES: Final = 300
"""Of a score that is no mean of its rows, each of which is computed anew."""
_SAME: Final = 1e-12
_BLOCK: Final = 4_000_000
"""Numbers of one block of resamples: 32 MB."""

Value = Callable[[np.ndarray], np.ndarray]
"""Weighted means of rows, any shape, to the score, of the same shape."""


@dataclass(frozen=True)
class Paired:
    """A score of the base and of the tuned model on the same n rows.

    Attributes:
        base, tuned: in the score's own unit.
        gain: by how much the tuned model is better; below 0 it is worse, whichever direction the score has.
        low, high: of the gain, 95 % interval of a paired bootstrap (Efron 1979, percentiles).
        se: standard error of the gain, by the same bootstrap.
        p: how often chance alone makes a gain or loss as large: McNemar's exact test where a row is right or wrong,
            else sign flips of the rows' differences; where the score is no mean, from the bootstrap.
        won, lost: rows on which the tuned model is better, and worse.
        p_rows: exact sign test of won against lost (for rows that are right or wrong it is McNemar's).
    """

    n: int
    base: float
    tuned: float
    gain: float
    low: float
    high: float
    se: float
    p: float
    won: int
    lost: int
    p_rows: float

    @property
    def significant(self) -> bool:
        """More than chance: both the test and the interval say so."""
        return self.p < ALPHA and not self.low <= 0.0 <= self.high

    @property
    def floor(self) -> float:
        """The noise floor: a gain or loss below it is what a finite number of rows makes of nothing."""
        return 1.96 * self.se


def paired(
    base: Sequence[float],
    tuned: Sequence[float],
    *,
    weights: Sequence[float] | None = None,
    value: Value | None = None,
    sign: float = 1.0,
    seed: int = 0,
) -> Paired:
    """The comparison of a score that is a function of the mean of its rows.

    Args:
        base, tuned: one number for each row, (n,), in the same order.
        weights: the score is `value(Σ rows / Σ weights)`: bytes of a text whose rows are bits; None counts rows.
        value: rises with the mean; None takes the mean itself.
        sign: −1 where a lower score is better.
        seed: of the resamples and flips.

    Raises:
        ValueError: no rows, or numbers of rows that differ.
    """
    rows = np.asarray([base, tuned], dtype=float)
    if rows.ndim != 2 or not rows.shape[1]:
        raise ValueError(f"{len(base)} and {len(tuned)} rows cannot be compared")
    n = rows.shape[1]
    heavy = np.ones(n) if weights is None else np.asarray(weights, dtype=float)
    of = value or (lambda means: means)
    whole = of(rows.sum(axis=1) / heavy.sum())
    differences = sign * (rows[1] - rows[0])
    rng = np.random.default_rng(seed)
    gains = np.empty(RESAMPLES)
    step = max(1, _BLOCK // n)
    for start in range(0, RESAMPLES, step):
        size = min(step, RESAMPLES - start)
        counts = rng.multinomial(n, np.full(n, 1.0 / n), size=size)
        means = counts @ np.stack([*rows, heavy], axis=1)
        scores = of(means[:, :2] / means[:, 2:])
        gains[start : start + size] = sign * (scores[:, 1] - scores[:, 0])
    won, lost = int((differences > _SAME).sum()), int((differences < -_SAME).sum())
    binary = weights is None and bool(np.isin(rows, (0.0, 1.0)).all())
    p_rows = sign_test(won, lost)
    p = p_rows if binary else _flipped(differences, rng)
    return _made(n, whole, sign, gains, p, won, lost, p_rows)


def paired_resampled(
    base: Callable[[np.ndarray], float],
    tuned: Callable[[np.ndarray], float],
    n: int,
    *,
    sign: float = 1.0,
    won: int = 0,
    lost: int = 0,
    seed: int = 0,
) -> Paired:
    """The comparison of a score that is no mean of its rows (macro-F1, a correlation, BLEU of a corpus).

    Args:
        base, tuned: from positions of rows, (n,), to the score on these rows alone.
        won, lost: rows on which the tuned model is better and worse, where rows have a number of their own.
    """
    rng = np.random.default_rng(seed)
    every = np.arange(n)
    whole = np.array([base(every), tuned(every)])
    gains = np.empty(_SLOW_RESAMPLES)
    for i in range(len(gains)):
        sample = rng.integers(0, n, size=n)
        gains[i] = sign * (tuned(sample) - base(sample))
    gains = gains[np.isfinite(gains)]
    if not len(gains):
        gains = np.zeros(1)
    # Twice the smaller tail beyond no difference; with ties on both sides, so that equal models give 1.
    p = min(1.0, 2.0 * (1 + min((gains <= _SAME).sum(), (gains >= -_SAME).sum())) / (len(gains) + 1))
    return _made(n, whole, sign, gains, float(p), won, lost, sign_test(won, lost))


def sign_test(won: int, lost: int) -> float:
    """Two-sided exact p of so many wins against losses if both were as likely (McNemar 1947, in its exact form)."""
    from scipy.stats import binomtest

    return 1.0 if won + lost == 0 else float(binomtest(won, won + lost, 0.5).pvalue)


def significant_among(ps: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Which of several differences are more than chance, when all are looked at together (Holm 1979).

    The chance of calling any of them significant, should there be none, is at most `alpha`.
    """
    found = [False] * len(ps)
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        if not ps[index] < alpha / (len(ps) - rank):
            break
        found[index] = True
    return found


def _flipped(differences: np.ndarray, rng: np.random.Generator) -> float:
    """Share of random sign flips whose sum is as far from 0 as that of the differences (Fisher 1935)."""
    moved = differences[np.abs(differences) > _SAME]
    if not len(moved):
        return 1.0
    seen = abs(float(moved.sum()))
    reached = 0
    step = max(1, _BLOCK // len(moved))
    for start in range(0, RESAMPLES, step):
        signs = rng.integers(0, 2, size=(min(step, RESAMPLES - start), len(moved))) * 2.0 - 1.0
        reached += int((np.abs(signs @ moved) >= seen * (1.0 - 1e-9)).sum())
    return (1 + reached) / (1 + RESAMPLES)


def _made(
    n: int, whole: np.ndarray, sign: float, gains: np.ndarray, p: float, won: int, lost: int, p_rows: float
) -> Paired:
    low, high = np.quantile(gains, [ALPHA / 2, 1 - ALPHA / 2])
    se = float(gains.std(ddof=1)) if len(gains) > 1 else math.nan
    base, tuned = (float(score) for score in whole)
    return Paired(n, base, tuned, sign * (tuned - base), float(low), float(high), se, p, won, lost, p_rows)
