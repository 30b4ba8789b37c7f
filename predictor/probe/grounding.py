"""Static features: whether question, passage and answer belong together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from predictor.probe.feature import feature
from predictor.probe.texts import Texts

_NO_CONTEXT = "no row has a context"
_NO_ANSWER_IN_CONTEXT = "no answer occurs in its context"
NEAR = 10
"""Tokens on either side of an answer that count as beside it."""
_SQUAD = "extractive answers, Rajpurkar et al. 2016, SQuAD"


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of answers that can be read word for word in their passage",
    source=_SQUAD,
    nan="no row has both a context and an answer with a token",
)
def answer_in_context_rate(texts: Texts) -> float:
    """Rows whose answer tokens occur one after the other in the context, over rows that have both."""
    return _mean([start is not None for start, _ in _answer_starts(texts)])


@feature(
    tier="static",
    unit="fraction",
    meaning="how late in the passage the answers stand",
    source="position bias, Ko et al. 2020, Look at the First Sentence",
    nan=_NO_ANSWER_IN_CONTEXT,
)
def answer_position_mean(texts: Texts) -> float:
    """Mean over answers found in their context of first token / length of the context: 0 is the beginning."""
    return _mean(_positions(texts))


@feature(
    tier="static",
    unit="fraction",
    meaning="how much the places of the answers in their passages differ",
    source="position bias, Ko et al. 2020, Look at the First Sentence",
    nan=_NO_ANSWER_IN_CONTEXT,
)
def answer_position_std(texts: Texts) -> float:
    """Population standard deviation of the positions of :func:`answer_position_mean`."""
    positions = _positions(texts)
    return float(np.std(positions)) if positions else math.nan


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of answers that stop or start in the middle of a word of their passage",
    source="definition of this project",
    nan="no row has both a context and an answer",
)
def answer_cut_rate(texts: Texts) -> float:
    """Answers that occur in the context as characters but not as whole tokens, over rows that have both."""
    cut = []
    for context, answer, words, passage in zip(
        texts.contexts, texts.answers, texts.answer_tokens, texts.context_tokens, strict=True
    ):
        text = answer.strip().casefold()
        if context is not None and passage is not None and text:
            cut.append(text in context.casefold() and _find(words, passage) is None)
    return _mean(cut)


@feature(
    tier="static",
    unit="fraction",
    meaning="how much of the answers' wording comes from their prompts",
    source="extractive coverage, Grusky et al. 2018, Newsroom, with the prompt as source",
    nan="no answer holds a token",
)
def answer_coverage(texts: Texts) -> float:
    """Mean over rows of the share of the answer's tokens that occur in the prompt."""
    pairs = zip(texts.answer_tokens, texts.prompt_tokens, strict=True)
    return _mean([_coverage(answer, prompt) for answer, prompt in pairs])


@feature(
    tier="static",
    unit="fraction",
    meaning="how much of what the questions ask about is mentioned in their passages",
    source="inverse document frequency, Spärck Jones 1972; coverage as in Grusky et al. 2018",
    nan=_NO_CONTEXT,
)
def question_in_context_coverage(texts: Texts) -> float:
    """Mean over rows of the share of the question's tokens that occur in the context, each weighted by its rarity.

    The weight of a token in f of n questions is ln((n + 1) / f), so that names count and "what is the" hardly does.
    """
    weights = _rarity(texts)
    pairs = zip(texts.question_tokens, texts.context_tokens, strict=True)
    return _mean([_coverage(question, context, weights) for question, context in pairs if context is not None])


@feature(
    tier="static",
    unit="fraction",
    meaning="how much of what the questions ask about is mentioned right beside their answers",
    source="overlap around the answer, Sugawara et al. 2018, What Makes Reading Comprehension Questions Easier?",
    nan=_NO_ANSWER_IN_CONTEXT,
)
def question_near_answer_coverage(texts: Texts) -> float:
    """As :func:`question_in_context_coverage`, over the `NEAR` tokens before and after the answer only.

    Over rows whose answer occurs in the context, at its first occurrence. It falls when answers are true of something
    else in the passage.
    """
    weights = _rarity(texts)
    shares = []
    for question, answer, context in zip(texts.question_tokens, texts.answer_tokens, texts.context_tokens, strict=True):
        start = None if context is None else _find(answer, context)
        if context is not None and start is not None:
            nearby = context[max(0, start - NEAR) : start + len(answer) + NEAR]
            shares.append(_coverage(question, nearby, weights))
    return _mean(shares)


def _rarity(texts: Texts) -> dict[str, float]:
    """Weight of each token of the questions: ln((n + 1) / f), f the number of the n questions that hold it."""
    frequencies = Counter(token for row in texts.question_tokens for token in set(row))
    return {token: math.log((len(texts.questions) + 1) / count) for token, count in frequencies.items()}


def _coverage(part: Sequence[str], whole: Sequence[str], weights: dict[str, float] | None = None) -> float:
    """Weight of the tokens of `part` that occur in `whole`, over the weight of `part`; NaN for an empty part."""
    known = set(whole)
    total = sum(1.0 if weights is None else weights[token] for token in part)
    found = sum(1.0 if weights is None else weights[token] for token in part if token in known)
    return found / total if total else math.nan


def _answer_starts(texts: Texts) -> Iterator[tuple[int | None, int]]:
    """First token of the answer in its context (None when it is not there) and the context's length."""
    for answer, context in zip(texts.answer_tokens, texts.context_tokens, strict=True):
        if answer and context is not None:
            yield _find(answer, context), len(context)


def _positions(texts: Texts) -> list[float]:
    return [start / length for start, length in _answer_starts(texts) if start is not None]


def _find(part: Sequence[str], whole: Sequence[str]) -> int | None:
    """Index in `whole` at which `part` first occurs, None if it does not or is empty."""
    for start in range(len(whole) - len(part) + 1) if part else ():
        if whole[start] == part[0] and whole[start : start + len(part)] == part:
            return start
    return None


def _mean(values: Sequence[float | bool]) -> float:
    """Mean of the values that exist; NaN when none does."""
    present = [value for value in values if not math.isnan(value)]
    return sum(present) / len(present) if present else math.nan
