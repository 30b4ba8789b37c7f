"""`spoil:HOW:dial=…:seed=…:DATASET`: a dataset that is poor in a known way, and how poor."""

from __future__ import annotations

from collections.abc import Callable

from predictor.config import Expression
from predictor.data.operators.base import SPOILERS, Rows, Spoilt
from predictor.data.operators.options import Options
from predictor.errors import DataError


def spoil(expression: Expression, made: Callable[[Expression | str], Rows]) -> Rows:
    """The spoilt dataset, the same for the same content, way, dial and seed.

    Raises:
        ConfigError: an unknown way or key, or a value out of range. DataError: no row can be spoilt in this way.
    """
    spoiler = SPOILERS.get(expression.how, where=expression.text)
    options = Options.of(expression, ("dial", "seed"))
    dial, seed = options.share("dial", spoiler.dial, 1.0), options.seed
    rows = made(expression.parts[0])
    if dial == 0.0:
        return rows
    result = spoiler.spoil(rows.rows, dial, f"{rows.digest}-{expression.how}-{seed}")
    if result.asked and not result.changed:
        raise DataError(
            f"none of {len(rows)} rows can be spoilt: {_reasons(result)}",
            where=expression.text,
            rule=f"{expression.how} needs {spoiler.needs}",
            fix="spoil it in another way, or another dataset",
        )
    return Rows(tuple(result.rows), (*rows.notes, _told(expression.text, len(rows), result)))


def _told(text: str, rows: int, result: Spoilt) -> str:
    said = f"{text}: {result.changed} of {rows} rows {result.said}"
    if result.changed < result.asked:
        said += f", the dial asks for {result.asked}"
    return f"{said}; passed over: {_reasons(result)}" if result.passed_over else said


def _reasons(result: Spoilt) -> str:
    commonest = sorted(result.passed_over.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{count} with {reason}" for reason, count in commonest)
