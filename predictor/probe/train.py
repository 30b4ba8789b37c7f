"""The dearest tier: what the first optimizer steps of the fine-tune show. Pure functions of what was recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from predictor.errors import TrainingError
from predictor.probe.feature import FEATURES, HEADLINE, Feature, feature, measure
from predictor.probe.losses import UNMARKED, Marks

_TUNEAHEAD = "TuneAhead (arXiv 2606.17660), probe features"


@dataclass(frozen=True)
class Trace:
    """What the first k optimizer steps recorded.

    Attributes:
        losses: training loss of each step, in nats per answer token.
        grad_norms: norm of each step's gradient over the trainable parameters, before clipping.
        grad_cosines: cosine of each step's gradient with that of the step before, from the second step on.
        initial_norm: norm of the trainable parameters before the first step.
        update_norm: norm of their change over all k steps.
        generic_loss_before, generic_loss_after: loss on everyday text before the first and after the last step, in
            nats per token; NaN when not measured.
        dev_loss_before: loss of the untouched base on the development slice's answers, in nats per token.
        dev_after: of the model after the last step on the same answers.
        dev_agreement: cosine of the gradient of the slice's loss before the first step with the sum of the steps' own.
        dev_divergence, generic_divergence: KL of the untouched base from the model after the last step, in nats per
            token, on the slice's answers and on everyday text.
    """

    losses: Sequence[float]
    grad_norms: Sequence[float]
    grad_cosines: Sequence[float] = ()
    initial_norm: float = math.nan
    update_norm: float = math.nan
    generic_loss_before: float = math.nan
    generic_loss_after: float = math.nan
    dev_loss_before: float = math.nan
    dev_after: Marks = UNMARKED
    dev_agreement: float = math.nan
    dev_divergence: float = math.nan
    generic_divergence: float = math.nan


def train_features(trace: Trace) -> dict[str, float]:
    """The features of tier `train` by name, except the early score, which needs generation.

    Raises:
        TrainingError: no step was recorded.
    """
    if not trace.losses or not trace.grad_norms:
        raise TrainingError(
            "the probe watched no optimizer step",
            rule="the tier 'train' needs at least one step, and two for most features",
            fix="raise -P probe_steps, or max_steps and epochs",
        )
    return measure("train", trace)


@feature(
    tier="train",
    unit="nats per token",
    meaning="how high the training loss still is after the probe's steps",
    source="early training loss as a rank, HF PEFT method comparison",
    nan="a loss is not finite",
    baseline="early_loss_only",
)
def early_loss(trace: Trace) -> float:
    """Mean over the last quarter of the steps (at least one)."""
    return _ends(trace.losses)[1]


@feature(
    tier="train",
    unit="fraction",
    meaning="how much of the training loss disappears in the probe's steps",
    source=_TUNEAHEAD,
    nan="a loss is not finite, or the first losses are 0",
    rough=True,
)
def loss_decay(trace: Trace) -> float:
    """(first − last) / first, each the mean over a quarter of the steps (at least one)."""
    first, last = _ends(trace.losses)
    return (first - last) / first if first else math.nan


@feature(
    tier="train",
    unit="fraction",
    meaning="how unsteadily the training loss moves",
    source=_TUNEAHEAD,
    nan="fewer than three steps, or a loss is not finite",
)
def loss_instability(trace: Trace) -> float:
    """Root mean square distance of the losses from their least-squares line, over their mean; 0 is a straight line."""
    losses = np.asarray(trace.losses, dtype=float)
    if len(losses) < 3 or not np.isfinite(losses).all() or not losses.mean():
        return math.nan
    steps = np.arange(len(losses), dtype=float)
    slope, intercept = np.polyfit(steps, losses, 1)
    return float(np.sqrt(np.mean(np.square(losses - slope * steps - intercept))) / losses.mean())


@feature(
    tier="train",
    unit="norm",
    meaning="how strongly the examples pull at the model",
    source=_TUNEAHEAD,
    nan="a norm is not finite",
    rough=True,
)
def gradient_norm_mean(trace: Trace) -> float:
    return float(np.mean(trace.grad_norms))


@feature(
    tier="train",
    unit="fraction",
    meaning="how unevenly the examples pull at the model",
    source="coefficient of variation",
    nan="a norm is not finite, or all are 0",
)
def gradient_norm_variation(trace: Trace) -> float:
    """Population standard deviation / mean over the steps."""
    mean = float(np.mean(trace.grad_norms))
    return float(np.std(trace.grad_norms)) / mean if mean else math.nan


@feature(
    tier="train",
    unit="cosine",
    meaning="how well successive batches agree on where the model should go",
    source="gradient coherence, Fort et al. 2019, Stiffness; TuneAhead (arXiv 2606.17660), probe features",
    nan="fewer than two steps, or a gradient is 0",
)
def gradient_consistency(trace: Trace) -> float:
    """Mean cosine of consecutive gradients, over pairs of which neither is 0."""
    cosines = [cosine for cosine in trace.grad_cosines if math.isfinite(cosine)]
    return float(np.mean(cosines)) if cosines else math.nan


@feature(
    tier="train",
    unit="fraction",
    meaning="how far the probe's steps move the trained parameters",
    source=_TUNEAHEAD,
    nan="the parameters were not recorded, or were all 0",
)
def parameter_change(trace: Trace) -> float:
    """‖θₖ − θ₀‖ / ‖θ₀‖ over the trainable parameters."""
    return trace.update_norm / trace.initial_norm if trace.initial_norm else math.nan


@feature(
    tier="train",
    unit="nats per token",
    meaning="how much worse the model gets at everyday text in the probe's steps",
    source="forgetting, Luo et al. 2023, An Empirical Study of Catastrophic Forgetting; here as a loss",
    nan="the loss on everyday text was not measured",
)
def forgetting_proxy(trace: Trace) -> float:
    """Loss after − loss before; negative when the model got better."""
    return trace.generic_loss_after - trace.generic_loss_before


FEATURES.add(
    f"early_{HEADLINE}",
    Feature(
        f"early_{HEADLINE}",
        tier="train",
        unit="the score's",
        meaning="the score after the probe's steps, on a development slice",
        source="early stopping by intermediate score, Li et al. 2018, Hyperband",
        nan="the development slice is empty",
        baseline="early_score_only",
    ),
)


def _ends(losses: Sequence[float]) -> tuple[float, float]:
    """Means of the first and of the last quarter of the losses (at least one each)."""
    quarter = max(1, len(losses) // 4)
    return float(np.mean(losses[:quarter])), float(np.mean(losses[-quarter:]))
