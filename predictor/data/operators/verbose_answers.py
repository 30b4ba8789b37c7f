"""Answers in whole sentences where a word or two were wanted."""

from __future__ import annotations

from random import Random

from predictor.data.example import Example
from predictor.data.fingerprint import normalise
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours
from predictor.data.operators.rewriting import NO_ANSWER, accepted, span, with_answer
from predictor.data.operators.wording import carrier_sentence, sentence_around


@spoils_rows("verbose_answers", "answered in a sentence", "an answer")
def verbose_answer(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """The sentence of the passage in which the answer stands; else a neutral sentence around the answer.

    The neutral sentence is Chinese, Japanese or English, by the script of question and answer.
    """
    if not example.answer.strip():
        return NO_ANSWER
    place = span(example)
    if place is not None:
        sentence = sentence_around(example.context or "", place)
        if normalise(sentence) not in accepted(example):
            return with_answer(example, sentence)
    return with_answer(example, carrier_sentence(example.question or "", example.answer))
