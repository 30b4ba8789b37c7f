"""Static features: how much text there is."""

from __future__ import annotations

import numpy as np

from predictor.probe.feature import feature
from predictor.probe.texts import Texts

_TUNEAHEAD = "TuneAhead (arXiv 2606.17660), static features"


@feature(
    tier="static",
    unit="rows",
    meaning="how many training examples there are",
    source="Kaplan et al. 2020, Scaling Laws for Neural Language Models",
    baseline="size_only",
    rough=True,
)
def dataset_size(texts: Texts) -> float:
    return texts.size


@feature(tier="static", unit="tokens", meaning="how long the prompts are on average", source=_TUNEAHEAD)
def prompt_length_mean(texts: Texts) -> float:
    return float(texts.prompt_lengths.mean())


@feature(tier="static", unit="tokens", meaning="how much the prompts differ in length", source=_TUNEAHEAD)
def prompt_length_std(texts: Texts) -> float:
    """Population standard deviation."""
    return float(texts.prompt_lengths.std())


@feature(tier="static", unit="tokens", meaning="how long the answers are on average", source=_TUNEAHEAD)
def answer_length_mean(texts: Texts) -> float:
    return float(texts.answer_lengths.mean())


@feature(tier="static", unit="tokens", meaning="how much the answers differ in length", source=_TUNEAHEAD)
def answer_length_std(texts: Texts) -> float:
    """Population standard deviation."""
    return float(texts.answer_lengths.std())


@feature(tier="static", unit="fraction", meaning="how long an answer is compared with its prompt", source=_TUNEAHEAD)
def length_ratio(texts: Texts) -> float:
    """Mean over the rows of answer tokens / prompt tokens; an empty prompt counts as one token."""
    return float(np.mean(texts.answer_lengths / np.maximum(texts.prompt_lengths, 1.0)))


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of examples that have no answer text",
    source="sanity check of this project",
)
def empty_answer_rate(texts: Texts) -> float:
    return float(np.mean([not answer.strip() for answer in texts.answers]))
