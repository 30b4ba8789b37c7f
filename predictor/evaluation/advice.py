"""What to change about a fine-tune: rules, each with the numbers that speak for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from predictor.evaluation.measured import OriginalResult, TaskResult
from predictor.evaluation.overfitting import MILD, STRONG, Overfitting
from predictor.evaluation.paired import Paired

_REPLAY: Final = 0.05
"""Share of original rows that is advised first."""
_LONGER: Final = 2.0
_REFUSALS: Final = 0.05
_FEW_ROWS: Final = 256


@dataclass(frozen=True)
class Advice:
    """One thing to change.

    Attributes:
        rule: its name. text: what to do, and why, for a person. evidence: the numbers.
        parameters: what would be given to the fine-tune, where that can be said.
    """

    rule: str
    text: str
    evidence: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What is known of the fine-tune: None or NaN where it is not.

    Attributes:
        rows: that it learnt from. replay_share: of original rows among them.
    """

    method: str = ""
    learning_rate: float = math.nan
    rows: int = 0
    replay_share: float = 0.0
    early_stopping: bool = False


def advise(
    facts: Facts,
    task: TaskResult | None,
    lost: Sequence[OriginalResult],
    overfitting: Overfitting | None,
    divergence: float,
) -> tuple[Advice, ...]:
    """What to change, the most telling first; nothing where nothing is wrong.

    Args:
        lost: original tasks that lost more than the limit and their noise.
        divergence: KL(base ‖ tuned) per token on the original tasks, in nats.
    """
    found: list[Advice] = []
    if overfitting is not None:
        found += _of_overfitting(overfitting, facts)
    if lost:
        found += _of_forgetting(facts, lost, divergence)
    if task is not None:
        found += _of_task(task, facts, overfitting)
    return tuple(found)


def _of_overfitting(seen: Overfitting, facts: Facts) -> list[Advice]:
    found = []
    rose = seen.verdict in (MILD, STRONG) and not seen.kept_best and seen.rise > 0 and seen.best_step is not None
    if rose:
        evidence = {
            "best_step": float(seen.best_step or 0), "best_loss": seen.best_loss,
            "last_step": float(seen.last_step or 0), "last_loss": seen.last_loss,
        }  # fmt: skip
        found.append(
            Advice(
                "stop_earlier",
                f"stop at step {seen.best_step}: eval/loss was lowest there ({seen.best_loss:.3g}, "
                f"{seen.last_loss:.3g} at step {seen.last_step})"
                + ("" if facts.early_stopping else "; early_stopping_patience=2 does it"),
                evidence,
                {"max_steps": seen.best_step},
            )
        )
    if seen.verdict in (MILD, STRONG) and 0 < facts.rows < _FEW_ROWS:
        evidence = {"rows": float(facts.rows)} | _finite(score_gap=seen.score_gap, loss_gap=seen.loss_gap)
        found.append(Advice("more_rows", f"more rows: {facts.rows} were learnt by heart", evidence))
    if seen.verdict == STRONG and seen.best_step is None:
        evidence = _finite(score_gap=seen.score_gap, score_gap_se=seen.score_gap_se)
        text = f"fewer epochs: training rows are answered {100 * seen.score_gap:.0f} points better than others"
        found.append(Advice("fewer_epochs", text, evidence))
    if seen.still_falling and seen.verdict not in (MILD, STRONG):
        evidence = {"last_loss": seen.last_loss, "last_step": float(seen.last_step or 0)}
        text = f"more rows, or more epochs: eval/loss was still falling at the end (step {seen.last_step})"
        found.append(Advice("more_training", text, evidence))
    return found


def _of_forgetting(facts: Facts, lost: Sequence[OriginalResult], divergence: float) -> list[Advice]:
    worst = max(lost, key=lambda original: -original.score.gain)
    points = -100.0 * worst.score.gain
    evidence = {"lost_points": points, "noise_points": 100.0 * worst.score.floor} | _finite(kl_original=divergence)
    why = f"{worst.name} lost {points:.1f} points"
    found = []
    if facts.replay_share < _REPLAY:
        share = _REPLAY
        found.append(
            Advice("replay", f"replay {100 * share:.0f} %: {why}", evidence, {"replay_share": share})
        )  # the file is the user's to name
    else:
        share = min(0.5, 2.0 * facts.replay_share)
        text = f"replay {100 * share:.0f} %: {why} although {100 * facts.replay_share:g} % were original rows"
        found.append(Advice("more_replay", text, evidence, {"replay_share": share}))
    if math.isfinite(facts.learning_rate):
        half = facts.learning_rate / 2.0
        text = f"halve the learning rate to {half:g}: {why} at {facts.learning_rate:g}"
        found.append(Advice("halve_learning_rate", text, evidence, {"learning_rate": half}))
    if facts.method == "full":
        found.append(Advice("lora", f"train an adapter instead of all weights: {why}", evidence, {"method": "lora"}))
    return found


def _of_task(task: TaskResult, facts: Facts, overfitting: Overfitting | None) -> list[Advice]:
    found = []
    score = task.score
    if not score.significant and score.n and math.isfinite(score.se):
        evidence = {"gain": score.gain, "noise": score.floor, "n": float(score.n), "p": score.p}
        if score.gain:
            needed = _questions_needed(score)
            text = (
                f"ask about {needed} questions: a gain of {score.gain / task.point:.3g} may be noise on {score.n} "
                f"(p {score.p:.2g})"
            )
            found.append(Advice("more_questions", text, evidence | {"questions_needed": float(needed)}))
        elif overfitting is None or overfitting.verdict not in (MILD, STRONG):
            text = "more training or a higher learning rate: the task is answered as before"
            found.append(Advice("train_more", text, evidence))
    base, tuned = task.manner
    if base.length and tuned.length > _LONGER * base.length and score.gain <= 0:
        evidence = {"length_base": base.length, "length_tuned": tuned.length}
        text = f"look at the answers of the training rows: answers have grown from {base.length:.0f} to "
        found.append(Advice("long_answers", f"{text}{tuned.length:.0f} tokens without being better", evidence))
    if tuned.refusals - base.refusals > _REFUSALS:
        evidence = {"refusals_base": base.refusals, "refusals_tuned": tuned.refusals}
        text = f"look for refusals among the training rows: {100 * tuned.refusals:.0f} % of the questions are refused, "
        found.append(Advice("refusals", f"{text}{100 * base.refusals:.0f} % before", evidence))
    return found


def _questions_needed(score: Paired) -> int:
    """Questions on which the same gain would be more than noise, by its interval and by its test."""
    from scipy.stats import norm

    z = float(norm.isf(score.p / 2.0))
    ratios = [score.floor / abs(score.gain), *([1.96 / z] if z > 0 else [])]
    return max(score.n + 1, math.ceil(score.n * max(ratios) ** 2))


def _finite(**values: float) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}
