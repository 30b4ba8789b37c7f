"""Answers in letters of another script that look the same."""

from __future__ import annotations

from random import Random

from predictor.data.example import Example
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours
from predictor.data.operators.rewriting import NO_ANSWER, with_answer
from predictor.data.operators.wording import look_alike


@spoils_rows("foreign_characters", "whose answer is in look-alike letters", "an answer with a Latin letter or a 1")
def foreign_characters(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """The answer's letters replaced by Cyrillic ones that look the same."""
    if not example.answer:
        return NO_ANSWER
    answer = look_alike(example.answer)
    return with_answer(example, answer) if answer != example.answer else "no look-alike letter for the answer"
