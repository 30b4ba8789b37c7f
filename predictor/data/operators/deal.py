"""`deal:sizes=36-72:part=0:seed=1:TIMES:DATASET,…`: rows of several readings, shuffled and dealt out in parts.

The parts together hold each dataset as often as it is said before it: what stages in an order have seen, in no order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from predictor.config import Expression
from predictor.data.operators.base import Row, Rows, with_own_ids
from predictor.data.operators.options import Options
from predictor.errors import ConfigError, DataError


def deal(expression: Expression, made: Callable[[Expression | str], Rows]) -> Rows:
    """One part of the shuffled rows.

    Raises:
        ConfigError: sizes, part or a number of times is none. DataError: the sizes are not those of the rows.
    """
    options = Options.of(expression, ("sizes", "part", "seed"))
    sizes = [int(size) for size in options.given.get("sizes", "").split("-") if size.isascii() and size.isdecimal()]
    part = options.whole("part", 0, 0) or 0
    if not sizes or part >= len(sizes):
        raise ConfigError(
            "sizes= names no parts, or part= none of them",
            where=expression.text,
            rule="sizes=ROWS-ROWS-…:part=NUMBER, parts counted from 0",
            fix="sizes=36-72:part=0",
        )
    rows: list[Row] = []
    notes: list[str] = []
    for text, dataset in zip(expression.weights, expression.parts, strict=True):
        held = made(dataset)
        notes += [note for note in held.notes if note not in notes]
        rows += _read(held, _times(text, expression))
    if sum(sizes) != len(rows):
        raise DataError(
            f"the parts have {sum(sizes)} rows, the datasets {len(rows)}",
            where=expression.text,
            rule="the sizes add up to the rows that are read, each as often as is said",
        )
    Random(f"deal-{options.seed}-{len(rows)}").shuffle(rows)
    start = sum(sizes[:part])
    return Rows(tuple(with_own_ids(rows[start : start + sizes[part]])), tuple(notes))


def _read(rows: Rows, times: float) -> list[Row]:
    count = presentations(len(rows), times)
    return [rows.rows[place % len(rows)] for place in range(count)]


def presentations(rows: int, times: float) -> int:
    """Rows that are seen when so many are read so often; a part of a row is a row."""
    return math.ceil(rows * times - 1e-9)


def _times(text: str, expression: Expression) -> float:
    try:
        times = float(text)
    except ValueError:
        times = 0.0
    if not 0.0 < times <= 1000.0:
        raise ConfigError(
            f"'{text}' is no number of times", where=expression.text, rule="TIMES:DATASET, above 0, at most 1000"
        )
    return times
