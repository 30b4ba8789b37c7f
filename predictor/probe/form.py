"""Static features: how the form of the training answers differs from that of the development slice's answers.

A model that learns to answer in another form than the task asks for loses exact match at once, however right it is.
Every number is that of the training answers − that of the slice's, so 0 is the same form.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from predictor.probe.feature import feature
from predictor.probe.grounding import answer_in_context_rate
from predictor.probe.texts import Texts

SENTENCE_WORDS: Final = 4
"""Words that a sentence has at least: `Dr.` and `U.S.` are none."""
_SENTENCE_END = re.compile(r"[.!?…。！？｡]['\"’”»)\]」』]*$")
_NO_SLICE = "the development slice is empty"
_SOURCE = "definition of this project: form of the training answers against that of the task's"


@feature(
    tier="static",
    unit="difference of ln words",
    meaning="how much longer the answers are than those that the task wants",
    source=_SOURCE,
    nan=_NO_SLICE,
)
def answer_length_shift(texts: Texts) -> float:
    """Difference of the mean ln of the number of words, an empty answer counting as one word."""
    return _shift(texts, lambda each: float(np.log(np.maximum(each.answer_lengths, 1.0)).mean()))


@feature(
    tier="static",
    unit="difference of fractions",
    meaning="how much oftener the answers stand word for word in their passage than the task wants",
    source=_SOURCE,
    nan=_NO_SLICE + ", or no row has both a context and an answer with a token",
)
def answer_span_shift(texts: Texts) -> float:
    return _shift(texts, answer_in_context_rate)


@feature(
    tier="static",
    unit="difference of fractions",
    meaning="how much oftener the answers are whole sentences than the task wants",
    source=_SOURCE,
    nan=_NO_SLICE,
)
def answer_sentence_shift(texts: Texts) -> float:
    """Of the share of answers that end as a sentence does and have at least `SENTENCE_WORDS` words."""
    return _shift(texts, lambda each: _share([_is_sentence(*pair) for pair in _pairs(each)]))


@feature(
    tier="static",
    unit="difference of fractions",
    meaning="how much oftener the answers are a single word than the task wants",
    source=_SOURCE,
    nan=_NO_SLICE,
)
def answer_single_word_shift(texts: Texts) -> float:
    return _shift(texts, lambda each: _share([len(words) == 1 for _, words in _pairs(each)]))


@feature(
    tier="static",
    unit="difference of fractions",
    meaning="how much more of the answers' characters are digits than the task wants",
    source=_SOURCE,
    nan=_NO_SLICE + ", or no answer holds a visible character",
)
def answer_digit_shift(texts: Texts) -> float:
    return _shift(texts, lambda each: _share([c.isdigit() for c in _visible(each)]))


@feature(
    tier="static",
    unit="difference of fractions",
    meaning="how much more of the answers' characters are neither letters nor digits than the task wants",
    source=_SOURCE,
    nan=_NO_SLICE + ", or no answer holds a visible character",
)
def answer_punctuation_shift(texts: Texts) -> float:
    return _shift(texts, lambda each: _share([not c.isalnum() for c in _visible(each)]))


def _shift(texts: Texts, measure: Callable[[Texts], float]) -> float:
    return math.nan if texts.dev is None else measure(texts) - measure(texts.dev)


def _pairs(texts: Texts) -> list[tuple[str, list[str]]]:
    return list(zip(texts.answers, texts.answer_tokens, strict=True))


def _is_sentence(text: str, words: Sequence[str]) -> bool:
    return len(words) >= SENTENCE_WORDS and _SENTENCE_END.search(text.rstrip()) is not None


def _visible(texts: Texts) -> str:
    """All characters of the answers but white space."""
    return "".join("".join(texts.answers).split())


def _share(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else math.nan
