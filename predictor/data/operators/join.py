"""`join:TASK:DATASET,TASK:DATASET`: the rows of several datasets, each marked with the task that it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from predictor.config import Expression
from predictor.data.operators.base import Row, Rows, with_own_ids
from predictor.data.operators.options import Options

TASK: Final = "task"
"""The entry of a row's `extra` that names its task."""


def join(expression: Expression, made: Callable[[Expression | str], Rows]) -> Rows:
    """All rows of each part, one part after the other. The word before a part stands in its rows as their task.

    Raises:
        ConfigError: a key is given; a join has none.
    """
    Options.of(expression, ())
    rows: list[Row] = []
    notes: list[str] = []
    for task, part in zip(expression.weights, expression.parts, strict=True):
        held = made(part)
        notes += [note for note in held.notes if note not in notes]
        rows += [
            row._replace(example=replace(row.example, extra={**row.example.extra, TASK: task})) for row in held.rows
        ]
    return Rows(tuple(with_own_ids(rows)), tuple(notes))
