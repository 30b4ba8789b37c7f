"""Whether a fine-tune learnt its rows by heart: from its loss curves, and from training rows beside others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

Curve = Sequence[tuple[int, float]]

NONE, MILD, STRONG = "none", "mild", "strong"
MILD_RISE: Final = 0.02
STRONG_RISE: Final = 0.10
"""Rise of eval/loss above its minimum, as a share of the minimum."""
LEAST_RISE: Final = 0.01
"""Nats per token; a smaller rise is that of one curve's point against the next, however small the minimum."""
MILD_GAP: Final = 0.03
STRONG_GAP: Final = 0.10
"""By how much of the score's range training rows are answered better than others, beyond what the base does."""
STILL_FALLING: Final = 0.01
"""Share by which eval/loss must have fallen at its last evaluation to count as still falling."""


@dataclass(frozen=True)
class Overfitting:
    """Numbers, and what follows from them.

    Attributes:
        verdict: `none`, `mild`, `strong`; `unknown` with neither a curve nor rows.
        best_step, last_step: of eval/loss's minimum and end; None without a curve.
        best_loss, last_loss: nats per token there. rise: last − best.
        gap: eval/loss − train/loss at the end, in nats per token.
        still_falling: eval/loss had its minimum at the end and was falling there.
        train_score, eval_score: the headline of the fine-tune on training rows and on the others.
        score_gap: train_score − eval_score, less the same of the base: how much is owed to having seen the rows; the
            better the score the larger, whatever its direction. A share of the score's range.
        score_gap_se: its standard error.
        loss_gap: the same of the loss of the right answers: nats per token by which rows that were seen are easier.
        kept_best: early stopping kept the weights of the minimum, so that a later rise is not in them.
    """

    verdict: str
    best_step: int | None = None
    last_step: int | None = None
    best_loss: float = math.nan
    last_loss: float = math.nan
    rise: float = math.nan
    gap: float = math.nan
    still_falling: bool = False
    train_score: float = math.nan
    eval_score: float = math.nan
    score_gap: float = math.nan
    score_gap_se: float = math.nan
    loss_gap: float = math.nan
    kept_best: bool = False

    @property
    def relative_rise(self) -> float:
        """The rise as a share of the minimum."""
        return self.rise / self.best_loss if self.best_loss > 0 else math.nan

    def numbers(self) -> dict[str, float]:
        """By name, for metrics."""
        names = ("best_loss", "last_loss", "rise", "gap", "train_score", "eval_score", "score_gap", "score_gap_se")
        found = {name: float(getattr(self, name)) for name in (*names, "loss_gap")}
        steps = {name: getattr(self, name) for name in ("best_step", "last_step")}
        return found | {name: float(step) for name, step in steps.items() if step is not None}


@dataclass(frozen=True)
class Rows:
    """One headline and the loss of right answers, of base and tuned model, on training rows and on others.

    Attributes:
        train, other: (base rows, tuned rows): the headline of each row as a share of its range, higher is better.
        train_loss, other_loss: (base, tuned) nats per token.
    """

    train: tuple[Sequence[float], Sequence[float]]
    other: tuple[Sequence[float], Sequence[float]]
    train_loss: tuple[float, float] = (math.nan, math.nan)
    other_loss: tuple[float, float] = (math.nan, math.nan)


def judge(curves: Mapping[str, Curve], rows: Rows | None, *, kept_best: bool = False) -> Overfitting:
    """The numbers and the verdict.

    Strong: eval/loss rose by a tenth above its minimum, or training rows are answered better by ten points more than
    the base answers them. Mild: a fiftieth, or three points. Each beyond its noise: two standard errors of the gap,
    and of a curve a rise that more than one evaluation shows, or a large one.
    """
    found: dict[str, object] = {}
    evals = [point for point in curves.get("eval/loss", ()) if math.isfinite(point[1])]
    trains = [point for point in curves.get("train/loss", ()) if math.isfinite(point[1])]
    levels = [NONE]
    if evals:
        best = min(evals, key=lambda point: point[1])
        last = evals[-1]
        rise = last[1] - best[1]
        falling = len(evals) > 1 and best is last and evals[-2][1] - last[1] > STILL_FALLING * last[1]
        # The last tenth of the steps: a single step's loss is that of one batch.
        tail = [value for _, value in trains[-max(1, len(trains) // 10) :]]
        found |= {
            "best_step": best[0], "last_step": last[0], "best_loss": best[1], "last_loss": last[1], "rise": rise,
            "gap": last[1] - float(np.mean(tail)) if tail else math.nan, "still_falling": falling,
        }  # fmt: skip
        later = [value for step, value in evals if step > best[0]]
        if not kept_best and rise > LEAST_RISE and best[1] > 0:
            share = rise / best[1]
            sure = len(later) > 1 or share > STRONG_RISE
            levels.append(STRONG if share > STRONG_RISE else MILD if share > MILD_RISE and sure else NONE)
    if rows is not None and len(rows.train[0]) and len(rows.other[0]):
        found |= _gaps(rows)
        gap, error = float(found["score_gap"]), float(found["score_gap_se"])  # type: ignore[arg-type]
        if gap > 2.0 * error:
            levels.append(STRONG if gap > STRONG_GAP else MILD if gap > MILD_GAP else NONE)
    known = bool(evals) or rows is not None
    verdict = max(levels, key=(NONE, MILD, STRONG).index) if known else "unknown"
    return Overfitting(verdict, kept_best=kept_best, **found)  # type: ignore[arg-type]


def _gaps(rows: Rows) -> dict[str, float]:
    train, other = (np.asarray(each, dtype=float) for each in (rows.train, rows.other))
    # What training did to each row, on rows that were seen and on rows that were not.
    seen, unseen = train[1] - train[0], other[1] - other[0]
    error = math.sqrt(sum(part.var(ddof=1) / len(part) if len(part) > 1 else 0.25 for part in (seen, unseen)))
    return {
        "train_score": float(train[1].mean()),
        "eval_score": float(other[1].mean()),
        "score_gap": float(seen.mean() - unseen.mean()),
        "score_gap_se": error,
        "loss_gap": (rows.train_loss[0] - rows.train_loss[1]) - (rows.other_loss[0] - rows.other_loss[1]),
    }
