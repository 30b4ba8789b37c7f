"""Passages that say nothing about the question."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from predictor.data.example import Example
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours
from predictor.data.operators.rewriting import NO_CONTEXT, with_prompt


@spoils_rows("irrelevant_context", "with the passage of another row", "a context, and a row with another context")
def irrelevant_context(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """The passage of another row, one that does not hold the answer where there is one."""
    if not example.context:
        return NO_CONTEXT

    def differs(row: Example) -> bool:
        return bool(row.context) and row.context != example.context

    other = rows.other_passage(
        example, rng, lambda row: differs(row) and not any(text in (row.context or "") for text in example.answers)
    ) or rows.other_passage(example, rng, differs)
    if other is None:
        return "no row with another context"
    return replace(with_prompt(example, other.context, example.question), group=other.group)
