"""`slice:rows=0-63:DATASET`: some of the rows, articles or passages of a dataset, drawn rows, or short ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from predictor.config import Expression
from predictor.data.example import Example
from predictor.data.operators.base import Row, Rows, drawn
from predictor.data.operators.options import Options
from predictor.data.split import group_of
from predictor.errors import ConfigError, DataError

_BY: Final = ("rows", "articles", "passages", "words", "size")
_RULE: Final = (
    "one of rows=FIRST-LAST, articles=FIRST-LAST, passages=FIRST-LAST, words=FEWEST-MOST or size=ROWS (with seed=)"
)


def cut(expression: Expression, made: Callable[[Expression | str], Rows]) -> Rows:
    """The rows of a slice, in the order of the dataset.

    Raises:
        ConfigError: not exactly one thing is said by which to cut, or a value is no span. DataError: the slice reaches
            beyond the end, or rows know no article.
    """
    options = Options.of(expression, (*_BY, "seed"))
    by = [key for key in _BY if key in options.given]
    if len(by) != 1:
        what = f"{' and '.join(by)} are given together" if by else "nothing is said by which to cut"
        raise ConfigError(what, where=expression.text, rule=_RULE, fix="slice:rows=0-63:DATASET")
    if "seed" in options.given and by != ["size"]:
        raise ConfigError(f"seed= says nothing of {by[0]}=", where=expression.text, rule=_RULE, fix="leave seed= out")
    size, span, seed = options.whole("size", 1), options.span(by[0]) if by != ["size"] else None, options.seed
    rows = made(expression.parts[0])
    if size is not None:
        _within(expression, "size", size, len(rows))
        stream = f"{rows.digest}-slice-{seed}"
        kept = [rows.rows[position] for position in sorted(drawn(stream, len(rows))[:size])]
    elif span is not None:
        kept = _spanned(expression, by[0], span, rows)
    return Rows(tuple(kept), rows.notes)


def _spanned(expression: Expression, by: str, span: tuple[int, int], rows: Rows) -> list[Row]:
    first, last = span
    if by == "rows":
        _within(expression, by, last + 1, len(rows))
        return list(rows.rows[first : last + 1])
    if by == "words":
        kept = [row for row in rows.rows if first <= len(_text(row.example).split()) <= last]
        if not kept:
            raise DataError(
                f"no row has {first} to {last} words",
                where=expression.text,
                rule="counted are the words of the text, or of the question, or of the prompt, between white space",
            )
        return kept
    name = _article if by == "articles" else group_of
    named = [(name(row.example), row) for row in rows.rows]
    order = dict.fromkeys(each for each, _ in named if each)
    if not order:
        raise DataError(
            "no row knows its article",
            where=expression.text,
            rule="articles= reads 'title', as SQuAD has it",
            fix=f"passages={first}-{last}",
        )
    _within(expression, by, last + 1, len(order))
    chosen = set(list(order)[first : last + 1])
    return [row for each, row in named if each in chosen]


def _text(example: Example) -> str:
    return example.text or example.question or " ".join(message.content for message in example.messages)


def _article(example: Example) -> str:
    title = example.extra.get("title")
    return title if isinstance(title, str) else ""


def _within(expression: Expression, by: str, wanted: int, held: int) -> None:
    if wanted > held:
        kind = "rows" if by == "size" else by
        asked = f"size={wanted}" if by == "size" else f"{by}={dict(expression.options)[by]}"
        raise DataError(
            f"{asked} reaches beyond the end: there are {held} {kind}",
            where=expression.text,
            rule=f"at most {held}" if by == "size" else f"{by} are counted from 0, so the last is {held - 1}",
            fix=f"size={held}" if by == "size" else f"{by}=0-{held - 1}",
        )
