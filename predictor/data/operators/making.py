"""From the name of a dataset that is made of others to its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from predictor.config import Expression
from predictor.config.names import DEAL, JOIN, MIX, SLICE, SPOIL
from predictor.data.operators.base import Rows
from predictor.data.operators.deal import deal
from predictor.data.operators.join import join
from predictor.data.operators.mix import mix
from predictor.data.operators.slicing import cut
from predictor.data.operators.spoil import spoil

Make = Callable[[Expression | str], Rows]
_OPERATORS: Final[Mapping[str, Callable[[Expression, Make], Rows]]] = {
    SPOIL: spoil,
    MIX: mix,
    SLICE: cut,
    JOIN: join,
    DEAL: deal,
}


def made(expression: Expression, read: Callable[[str], Rows]) -> Rows:
    """The rows that an expression stands for.

    Args:
        read: the rows behind the name of a dataset; asked once for each.

    Raises:
        ConfigError: an operator, key or value that does not exist. DataError: what it asks for is not to be had.
    """
    held: dict[str, Rows] = {}

    def make(part: Expression | str) -> Rows:
        if isinstance(part, Expression):
            return _OPERATORS[part.operator](part, make)
        if part not in held:
            held[part] = read(part)
        return held[part]

    return make(expression)
