"""Scores of two evaluations by a task, side by side, whatever the task scores by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from predictor.evaluation.paired import Paired, paired, paired_resampled
from predictor.schema.targets import FRACTION, Target
from predictor.tasks.base import Task, TaskScores

_POINTS: Final = "points"


def compared(task: Task, base: TaskScores, tuned: TaskScores, n: int) -> dict[str, Paired]:
    """Each target that both evaluations have on the same n questions, the headline first.

    A target of which neither rows nor a rule for a part of the questions are known is left out: nothing could be said
    of its noise.
    """
    targets = {target.name: target for target in task.targets}
    names = sorted(set(base.values) & set(tuned.values) & set(targets), key=lambda name: name != task.headline)
    found = {}
    for name in names:
        sign = targets[name].sign
        rows = all(name in scores.rows and np.isfinite(scores.rows[name]).all() for scores in (base, tuned))
        won, lost = _won_lost(base.rows[name], tuned.rows[name], sign) if rows else (0, 0)
        if name in base.resample and name in tuned.resample:
            found[name] = paired_resampled(base.resample[name], tuned.resample[name], n, sign=sign, won=won, lost=lost)
        elif rows:
            found[name] = paired(base.rows[name], tuned.rows[name], sign=sign)
    return found


def row_scores(task: Task, base: TaskScores, tuned: TaskScores) -> str:
    """The name of the score by which rows are won and lost: the headline, else the first that rows have; or empty."""
    names = [task.headline, *(target.name for target in task.targets)]
    return next((name for name in names if name in base.rows and name in tuned.rows), "")


def share_of_range(target: Target) -> float | None:
    """What one unit of a target is of a score in [0, 1]; None of one without bounds."""
    if target.unit == FRACTION:
        return 1.0
    if target.unit == _POINTS:
        return 0.01
    if target.low is not None and target.high is not None:
        return 1.0 / (target.high - target.low)
    return None


def scaled(found: Paired, factor: float) -> Paired:
    """The same in another unit; a score of which less is better stays one, its gain is what counts."""
    values = {name: getattr(found, name) * factor for name in ("base", "tuned", "gain", "low", "high", "se")}
    rest = {name: getattr(found, name) for name in ("n", "p", "won", "lost", "p_rows")}
    return Paired(**values, **rest)


def _won_lost(base: Sequence[float], tuned: Sequence[float], sign: float) -> tuple[int, int]:
    gains = [sign * (b - a) for a, b in zip(base, tuned, strict=True)]
    return sum(gain > 1e-12 for gain in gains), sum(gain < -1e-12 for gain in gains)
