"""Words out of order."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Final

from predictor.data.example import Example
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours
from predictor.data.operators.rewriting import with_answer, with_last_turn, with_prompt
from predictor.data.operators.wording import shuffled

_TRIES: Final = 4


@spoils_rows("shuffled_words", "whose words are out of order", "a prompt of two different words or more")
def shuffled_words(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """Passage, question and answer, or text, or the last turn and the answer: each with its words in another order.

    The row keeps its group: its words are still those of its passage.
    """
    spoilt = example
    if example.context is not None or example.question is not None:
        context, question = (text and _out_of_order(rng, text) for text in (example.context, example.question))
        spoilt = with_prompt(example, context, question)
    elif example.text is not None:
        spoilt = replace(example, text=_out_of_order(rng, example.text))
    elif example.messages:
        spoilt = with_last_turn(example, _out_of_order(rng, example.messages[-1].content))
    if (spoilt.context, spoilt.question, spoilt.text) == (example.context, example.question, example.text) and (
        spoilt.messages == example.messages
    ):
        return "no two words in the prompt"
    return with_answer(spoilt, _out_of_order(rng, example.answer)) if example.answer else spoilt


def _out_of_order(rng: Random, text: str) -> str:
    """Another order than the text's where one is found soon."""
    for _ in range(_TRIES):
        mixed = shuffled(rng, text)
        if mixed.split() != text.split():
            return mixed
    return text
