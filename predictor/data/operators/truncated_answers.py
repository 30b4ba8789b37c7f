"""Answers that break off."""

from __future__ import annotations

from random import Random

from predictor.data.example import Example
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours
from predictor.data.operators.rewriting import NO_ANSWER, span, with_answer
from predictor.data.operators.wording import first_half


@spoils_rows("truncated_answers", "with the first half of the answer", "an answer of two characters or more")
def truncated_answer(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """The first half of the answer's letters."""
    if not example.answer:
        return NO_ANSWER
    half = first_half(example.answer)
    if not half or half == example.answer:
        return "an answer of one character"
    place = span(example)
    return with_answer(example, half, place[0] if place else -1)
