"""The third tier's features: what the untouched base model makes of the rows. Pure functions of token losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from predictor.probe.feature import FEATURES, HEADLINE, Feature, feature

_TUNEAHEAD = "TuneAhead (arXiv 2606.17660), probe features"
_NOT_FINITE = "a loss is not finite"
_IFD = "Li et al. 2024, From Quantity to Quality, the IFD score"
_PVI = "Ethayarajh et al. 2022, Understanding Dataset Difficulty with V-Usable Information, pointwise V-information"
_FLOOR = 1e-3
"""Nats a token; below it an unconditional loss is noise and no ratio to it is taken."""


@dataclass(frozen=True)
class Marks:
    """How well a model says right answers when each of their tokens is put before it (teacher forcing).

    Attributes:
        loss: mean over all answer tokens, in nats.
        token_accuracy: share of the answer tokens that were the model's first choice.
        row_accuracy: share of the answers of which all tokens were.
    """

    loss: float = math.nan
    token_accuracy: float = math.nan
    row_accuracy: float = math.nan

    @classmethod
    def of(cls, losses: Sequence[np.ndarray], hits: Sequence[np.ndarray]) -> Marks:
        """From the losses and hits of each answer's tokens; NaN of no answers."""
        if not losses:
            return cls()
        every = np.concatenate(hits)
        return cls(
            float(np.concatenate(losses).mean()), float(every.mean()), float(np.mean([row.all() for row in hits]))
        )


UNMARKED: Final = Marks()
"""Of no answers: NaN."""


@dataclass(frozen=True)
class Losses:
    """Token losses of the untouched base model, in nats, row by row.

    Attributes:
        answers: of the answer's tokens given the prompt, one array for each row, shape (answer tokens,), never empty.
        hits: whether each answer token was the model's first choice, same shapes.
        texts: of every token of prompt and answer that has a predecessor, shape (tokens − 1,).
        unconditional: of the answer's tokens given an empty prompt, shape (answer tokens,).
        dev: of the same model on the development slice.
    """

    answers: Sequence[np.ndarray]
    hits: Sequence[np.ndarray]
    texts: Sequence[np.ndarray]
    unconditional: Sequence[np.ndarray]
    dev: Marks = UNMARKED


@feature(
    tier="forward",
    unit="nats per token",
    meaning="how surprising the base model finds the answers before any training",
    source="cross-entropy over answer tokens, the fine-tune's own objective at step 0",
    nan=_NOT_FINITE,
    baseline="initial_loss_only",
    rough=True,
)
def initial_loss(losses: Losses) -> float:
    """Mean over all answer tokens, so that a long answer weighs more, as in the training loss."""
    return float(np.concatenate(losses.answers).mean())


@feature(
    tier="forward",
    unit="nats per token",
    meaning="how unevenly surprising the base model finds the answers",
    source=_TUNEAHEAD,
    nan=_NOT_FINITE,
)
def initial_loss_std(losses: Losses) -> float:
    """Population standard deviation over rows of the row's mean loss."""
    return float(_row_means(losses.answers).std())


@feature(
    tier="forward",
    unit="fraction",
    meaning="how many answer tokens the base model already guesses right, given the prompt and the answer so far",
    source="teacher-forced token accuracy",
)
def initial_token_accuracy(losses: Losses) -> float:
    return float(np.concatenate(losses.hits).mean())


@feature(
    tier="forward",
    unit="fraction",
    meaning="how many whole answers the base model already guesses right, token after token",
    source="teacher-forced exact match on the training rows",
)
def initial_row_accuracy(losses: Losses) -> float:
    return float(np.mean([row.all() for row in losses.hits]))


@feature(
    tier="forward",
    unit="choices per token",
    meaning="how unusual the base model finds the dataset's text",
    source="perplexity, Jelinek et al. 1977",
    nan=_NOT_FINITE,
    rough=True,
)
def perplexity(losses: Losses) -> float:
    """exp of the mean over rows of the row's mean loss, over prompt and answer tokens together (a geometric mean)."""
    return _exp(_row_means(losses.texts).mean())


@feature(
    tier="forward",
    unit="nats per token",
    meaning="how unevenly unusual the base model finds the dataset's texts",
    source=_TUNEAHEAD,
    nan=_NOT_FINITE,
)
def perplexity_spread(losses: Losses) -> float:
    """Population standard deviation over rows of ln perplexity."""
    return float(_row_means(losses.texts).std())


@feature(
    tier="forward",
    unit="ratio",
    meaning="how little the prompt helps the base model to say the answer",
    source=_IFD,
    nan="a loss is not finite, or the base model is certain of every answer without its prompt",
)
def instruction_following_difficulty(losses: Losses) -> float:
    """Mean over rows of loss(answer | prompt) / loss(answer | empty prompt): 1 when the prompt does not help."""
    given, alone = _row_means(losses.answers), _row_means(losses.unconditional)
    usable = alone > _FLOOR
    return float(np.mean(given[usable] / alone[usable])) if usable.any() else math.nan


@feature(
    tier="forward",
    unit="nats per token",
    meaning="how much the prompt tells the base model about the answer",
    source=_PVI,
    nan=_NOT_FINITE,
)
def prompt_information(losses: Losses) -> float:
    """Mean over rows of loss(answer | empty prompt) − loss(answer | prompt)."""
    return float(_information(losses).mean())


@feature(
    tier="forward",
    unit="fraction",
    meaning="the share of examples whose prompt makes the answer no likelier, a sign of wrong answers",
    source=_PVI,
    nan=_NOT_FINITE,
)
def unhelpful_prompt_rate(losses: Losses) -> float:
    """Share of rows with loss(answer | empty prompt) ≤ loss(answer | prompt)."""
    information = _information(losses)
    return float(np.mean(information <= 0.0)) if np.isfinite(information).all() else math.nan


FEATURES.add(
    f"zero_shot_{HEADLINE}",
    Feature(
        f"zero_shot_{HEADLINE}",
        tier="forward",
        unit="the score's",
        meaning="the score of the base model before any training, on a development slice",
        source="zero-shot evaluation, Brown et al. 2020, Language Models are Few-Shot Learners",
        nan="the development slice is empty",
        baseline="zero_shot",
    ),
)


def _row_means(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([row.mean() for row in rows])


def _information(losses: Losses) -> np.ndarray:
    return _row_means(losses.unconditional) - _row_means(losses.answers)


def _exp(value: float) -> float:
    """`exp` without overflow warnings; beyond the range of a double the value does not exist."""
    return math.exp(value) if value < 700.0 else math.nan
