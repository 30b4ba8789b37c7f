"""Answers whose borders are set too wide."""

from __future__ import annotations

from random import Random

from predictor.data.example import Example
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours
from predictor.data.operators.rewriting import NO_ANSWER, NO_CONTEXT, span, with_answer
from predictor.data.operators.wording import words


@spoils_rows(
    "wide_answers", "whose answer takes in a neighbouring word", "a context in which the answer stands, and more words"
)
def wide_answer(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """The answer with the word before or after it, in Chinese and Japanese with one character."""
    if not example.answer:
        return NO_ANSWER
    if not example.context:
        return NO_CONTEXT
    place = span(example)
    if place is None:
        return "an answer that does not stand in the context"
    start, end = place
    spans = words(example.context)
    before = next((word[0] for word in reversed(spans) if word[1] <= start), None)
    after = next((word[1] for word in spans if word[0] >= end), None)
    if before is None and after is None:
        return "no word beside the answer"
    if after is None or (before is not None and rng.random() < 0.5):
        start = before if before is not None else start
    else:
        end = after
    return with_answer(example, example.context[start:end], start)
