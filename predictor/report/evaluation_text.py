"""An evaluation in a few lines of text."""

from __future__ import annotations

import math

from predictor.evaluation.measured import OriginalResult
from predictor.evaluation.result import Evaluated


def lines(evaluated: Evaluated) -> list[str]:
    """The verdict first, then what it rests on, then what to change."""
    found = [f"{evaluated.verdict}: {evaluated.rule}"]
    task = evaluated.task
    if task is not None:
        for name, score in task.scores.items():
            point = task.point if name == task.headline else 1.0
            unit = "points" if point != 1.0 else ""
            found.append(
                f"task {name:<20} {score.base:.4g} -> {score.tuned:.4g}, gain {score.gain / point:+.3g} {unit} "
                f"(95 % {score.low / point:+.3g} to {score.high / point:+.3g}, p {score.p:.2g}), "
                f"{score.won} won, {score.lost} lost of {score.n}"
            )
        base, tuned = task.manner
        found.append(
            f"answers of {base.length:.1f} -> {tuned.length:.1f} tokens, refused {100 * base.refusals:.0f} -> "
            f"{100 * tuned.refusals:.0f} %, KL(base || tuned) {told(task.divergence)} nats per token"
        )
    found += [original_line(original) for original in evaluated.originals]
    if math.isfinite(evaluated.forgetting):
        found.append(
            f"forgetting {100 * evaluated.forgetting:+.2f} points, noise floor "
            f"{100 * 1.96 * evaluated.forgetting_se:.2f}"
        )
    if evaluated.retention is not None:
        kept = evaluated.retention
        found.append(
            f"retention {100 * kept.whole.retention:.1f} % ± {100 * kept.whole.error:.1f} of {kept.whole.base} that "
            f"the base had right; {kept.gained} gained, {kept.lost} lost of {kept.whole.n}"
        )
    seen = evaluated.overfitting
    if seen is not None:
        curve = ""
        if seen.best_step is not None:
            curve = (
                f"; eval/loss lowest at step {seen.best_step} ({told(seen.best_loss)}), {told(seen.last_loss)} at the "
            )
            curve += f"end (step {seen.last_step}), {told(seen.gap)} above train/loss there"
        rows = ""
        if math.isfinite(seen.score_gap):
            rows = f"; training rows {100 * seen.score_gap:+.1f} ± {100 * seen.score_gap_se:.1f} points beside others"
        found.append(f"overfitting {seen.verdict}{curve}{rows}")
    found += [f"advice: {advice.text}" for advice in evaluated.advice]
    return [*found, *evaluated.notes]


def original_line(original: OriginalResult) -> str:
    """One original task."""
    score = original.score
    apart = f", KL {told(original.divergence)}" if math.isfinite(original.divergence) else ""
    return (
        f"original {original.name:<16} {score.base:.4f} -> {score.tuned:.4f}, {100 * score.gain:+.2f} points "
        f"(noise {100 * score.floor:.2f}, p {score.p:.2g}, n {score.n}){apart}: {original.metric}"
    )


def told(value: float) -> str:
    """A number in three digits, or that it is not known."""
    return f"{value:.3g}" if math.isfinite(value) else "unknown"
