"""What the development slice says: right answers of the task itself, before and after the first steps.

The slice shares no passage with the scored questions, so its answers may be used. Pure functions of what was measured.
"""

from __future__ import annotations

from typing import Final

from predictor.probe.feature import feature
from predictor.probe.losses import Losses
from predictor.probe.train import Trace

_NO_SLICE: Final = "the development slice is empty, or no question of it fits in max_length"
_KL = "Kullback and Leibler 1951; KL to the base as what a fine-tune forgets, Shenfeld et al. 2025, RL's Razor"
_TEACHER_FORCED = "teacher-forced, on the development slice"


@feature(
    tier="forward",
    unit="nats per token",
    meaning="how surprising the base model finds the task's right answers before any training",
    source="cross-entropy over answer tokens, on the development slice",
    nan=_NO_SLICE,
)
def dev_initial_loss(losses: Losses) -> float:
    return losses.dev.loss


@feature(
    tier="forward",
    unit="fraction",
    meaning="how many tokens of the task's right answers the base model already guesses",
    source=_TEACHER_FORCED,
    nan=_NO_SLICE,
)
def dev_initial_token_accuracy(losses: Losses) -> float:
    return losses.dev.token_accuracy


@feature(
    tier="forward",
    unit="fraction",
    meaning="how many of the task's right answers the base model already guesses whole, token after token",
    source=_TEACHER_FORCED,
    nan=_NO_SLICE,
)
def dev_initial_row_accuracy(losses: Losses) -> float:
    return losses.dev.row_accuracy


@feature(
    tier="train",
    unit="nats per token",
    meaning="how surprising the task's right answers still are after the probe's steps",
    source="cross-entropy over answer tokens, on the development slice",
    nan=_NO_SLICE,
    baseline="early_dev_loss_only",
)
def dev_early_loss(trace: Trace) -> float:
    return trace.dev_after.loss


@feature(
    tier="train",
    unit="fraction",
    meaning="how many tokens of the task's right answers the model guesses after the probe's steps",
    source=_TEACHER_FORCED,
    nan=_NO_SLICE,
)
def dev_early_token_accuracy(trace: Trace) -> float:
    return trace.dev_after.token_accuracy


@feature(
    tier="train",
    unit="fraction",
    meaning="how many of the task's right answers the model guesses whole after the probe's steps, token after token",
    source=_TEACHER_FORCED,
    nan=_NO_SLICE,
)
def dev_early_row_accuracy(trace: Trace) -> float:
    return trace.dev_after.row_accuracy


@feature(
    tier="train",
    unit="nats per token",
    meaning="how much less surprising the probe's steps make the task's right answers",
    source="loss before − loss after, on the development slice",
    nan=_NO_SLICE,
)
def dev_loss_fall(trace: Trace) -> float:
    """Of the untouched base − after the steps; negative when training on these rows leads away from the task."""
    return trace.dev_loss_before - trace.dev_after.loss


@feature(
    tier="train",
    unit="cosine",
    meaning="how well the examples pull the model to where the task's right answers pull it",
    source="gradient similarity to validation data, Xia et al. 2024, LESS; Fort et al. 2019, Stiffness",
    nan=_NO_SLICE + ", or a gradient is 0",
)
def dev_gradient_agreement(trace: Trace) -> float:
    """Cosine of the gradient of the slice's loss before the first step with the sum of the steps' own gradients.

    The sum and not one gradient, because a single batch is mostly noise; clipped, as the optimizer got them. Before the
    first step LoRA's matrix B is 0, so that A has no gradient and B alone speaks. The slice's gradient after the steps
    speaks of both and was tried: over 52 runs of the lab the Spearman correlation of its cosine with the final score
    was 0.11, that of this one 0.34. Where many parameters are trained, at the places of :mod:`predictor.probe.places`.
    """
    return trace.dev_agreement


@feature(
    tier="train",
    unit="nats per token",
    meaning="how far the probe's steps change what the model says to the task's questions",
    source=_KL,
    nan=_NO_SLICE,
)
def dev_divergence(trace: Trace) -> float:
    """Mean over the tokens of the slice's answers of KL(base ‖ after the steps), over the whole vocabulary.

    Where training overwrites the base its log-probabilities are kept, in float16, of at most `KEPT_VALUES` values;
    beyond that of every k-th token, and the mean is that of these tokens: see :mod:`predictor.probe.comparison`.
    """
    return trace.dev_divergence


@feature(
    tier="train",
    unit="nats per token",
    meaning="how far the probe's steps change what the model says in everyday text",
    source=_KL,
    nan="it was not measured",
)
def generic_divergence(trace: Trace) -> float:
    """As :func:`dev_divergence`, over all tokens but the first of the texts of the forgetting proxy."""
    return trace.generic_divergence
