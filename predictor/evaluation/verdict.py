"""Should it be shipped: the task better by more than noise, and nothing original lost beyond the user's limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from predictor.evaluation.measured import OriginalResult, TaskResult, lost_beyond

SHIP: Final = "ship"
HOLD: Final = "hold"


def decide(task: TaskResult | None, originals: Sequence[OriginalResult], limit: float) -> tuple[str, str]:
    """`ship` or `hold`, and the rule that decided.

    A loss counts when it is beyond the limit and beyond its noise floor, all original tasks looked at together; a loss
    that may be noise decides nothing, and is told.
    """
    lost = lost_beyond(originals, limit)
    if task is None:
        return HOLD, "the task was not measured: name its evaluation data"
    score = task.score
    points = f"{task.headline} {score.gain / task.point:+.3g} points, 95 % {score.low / task.point:.3g} to " + (
        f"{score.high / task.point:.3g}, p {score.p:.2g}, n {score.n}"
    )
    if not score.significant:
        return HOLD, f"the task is not better by more than noise ({points})"
    if score.gain < 0:
        return HOLD, f"the task is worse ({points})"
    if lost:
        told = ", ".join(f"{each.name} {100 * each.score.gain:+.1f}" for each in lost)
        return HOLD, f"original tasks lost more than {limit:g} points, by more than noise: {told}"
    rule = f"the task is better by more than noise ({points})"
    unsure = [each for each in originals if -100.0 * each.score.gain > limit]
    if not originals:
        return SHIP, f"{rule}; no original task was measured"
    if unsure:
        told = ", ".join(
            f"{each.name} {100 * each.score.gain:+.1f} of ±{100 * each.score.floor:.1f}" for each in unsure
        )
        return SHIP, f"{rule}; no original task lost more than {limit:g} points beyond its noise ({told} may be noise)"
    return SHIP, f"{rule}; no original task lost more than {limit:g} points"
