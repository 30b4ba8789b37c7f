"""The answers of other rows, so that nothing maps questions to answers."""

from __future__ import annotations

from random import Random

from predictor.data.example import Example
from predictor.data.fingerprint import normalise
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours
from predictor.data.operators.rewriting import NO_ANSWER, accepted, with_answer


@spoils_rows("swapped_answers", "with the answer of another row", "an answer, and another row with another answer")
def answer_of_another_row(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """The answer of a row of another passage; of the same passage where there is no other."""
    right = accepted(example)
    if not right:
        return NO_ANSWER
    other = rows.any_other(example, rng, lambda row: bool(row.answers) and normalise(row.answer) not in right)
    return with_answer(example, other.answer) if other else "no row with another answer"
