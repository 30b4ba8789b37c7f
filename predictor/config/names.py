"""Names of datasets: a file, a folder, a hub id, `lab:…`, or an expression over such names.

An expression is `OPERATOR:key=value:…:DATASET`, and DATASET may be one again:

    spoil:wrong_answers:dial=0.5:seed=1:FILE
    slice:rows=0-63:FILE
    mix:size=256:0.7:FILE,0.3:(mix:0.5:FILE,0.5:FILE)
    join:growth:FILE,qa:FILE
    deal:sizes=8-8:part=0:seed=1:2:FILE,1:FILE

Brackets hold together a name that has commas of its own. This file knows how names are written; what an operator does,
the data room knows.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from predictor.errors import ConfigError

SPOIL, MIX, SLICE, JOIN, DEAL = "spoil", "mix", "slice", "join", "deal"
HELD_OUT: Final = "split"
"""`split:SHARE` is no dataset of its own, but a part of the training data that is held out for the evaluation."""
OPERATORS: Final = (SPOIL, MIX, SLICE, JOIN, DEAL)
_OF_SEVERAL: Final = (MIX, JOIN, DEAL)
"""Operators over a list of datasets, each with a word before it: its weight, its task, or how often it is read."""
RULE: Final = (
    "spoil:HOW:key=value:…:DATASET, slice:key=value:…:DATASET, mix:key=value:…:WEIGHT:DATASET,WEIGHT:DATASET or "
    "join:TASK:DATASET,TASK:DATASET"
)
_OPTION: Final = re.compile(r"([A-Za-z_]\w*)=([^/()]*)")
_WORD: Final = re.compile(r"[A-Za-z_]+")
_DEEPEST: Final = 16
"""Operators inside one another; a name that nests deeper is a slip."""

Exists = Callable[[str], bool]
"""Whether a text is the path of something on this machine."""


@dataclass(frozen=True)
class Expression:
    """A dataset that is made of others.

    Attributes:
        text: as it was written.
        operator: one of OPERATORS. how: which spoiling; empty for the others.
        options: (key, value) as written. parts: what it is made of. weights: the word before each part of several.
    """

    text: str
    operator: str
    how: str
    options: tuple[tuple[str, str], ...]
    parts: tuple[Expression | str, ...]
    weights: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    @property
    def leaves(self) -> tuple[str, ...]:
        """The names of the datasets that are read for it, each once."""
        return tuple(dict.fromkeys(leaf for part in self.parts for leaf in _leaves(part)))

    def with_leaves(self, put: Callable[[str], str]) -> Expression:
        """The same expression, as written, that reads other datasets."""
        parts = (part.with_leaves(put) if isinstance(part, Expression) else put(part) for part in self.parts)
        return replace(self, parts=tuple(parts))

    @property
    def written(self) -> str:
        """The expression as it is written over the datasets that it reads."""
        head = [self.operator, *([self.how] if self.how else []), *(f"{key}={value}" for key, value in self.options)]
        parts = [part.written if isinstance(part, Expression) else part for part in self.parts]
        if self.operator in _OF_SEVERAL:
            held = (f"({part})" if len(_at_commas(part)) > 1 else part for part in parts)
            parts = [",".join(f"{weight}:{part}" for weight, part in zip(self.weights, held, strict=True))]
        return ":".join([*head, *parts])


def parse_name(text: str, exists: Exists = lambda path: os.path.lexists(os.path.expanduser(path))) -> Expression | str:
    """What the name of a dataset stands for: an expression, or the name itself where it is none.

    Args:
        exists: a path that exists is a name, whatever it looks like.

    Raises:
        ConfigError: it begins like an expression and is none.
    """
    return _parsed(text, exists, 0)


def held_share(name: str) -> float | None:
    """The share of the training rows that the name of an evaluation holds out, `split:0.1`; None of any other name.

    Raises:
        ConfigError: the share is no number above 0 and up to 0.5.
    """
    word, colon, share = name.partition(":")
    if not colon or word != HELD_OUT or os.path.lexists(name):
        return None
    try:
        value = float(share)
    except ValueError:
        value = 0.0
    if not 0.0 < value <= 0.5:
        raise ConfigError(
            f"'{name}' holds out no part of the training data",
            where="-P eval_dataset",
            rule=f"{HELD_OUT}:SHARE, a share of the training rows above 0 and up to 0.5",
            fix=f"-P eval_dataset={HELD_OUT}:0.1",
        )
    return value


def shortened(name: str) -> str:
    """The name of a dataset without its folders."""
    parsed = _known_form(name)
    return parsed.with_leaves(_last).written if isinstance(parsed, Expression) else _last(parsed)


def split_names(text: str) -> tuple[str, ...]:
    """The names in a list with commas. Commas in brackets separate nothing; brackets around a name are left out."""
    pieces = (piece.strip() for piece in _at_commas(text))
    return tuple(piece[1:-1] if _is_held(piece) else piece for piece in pieces if piece)


def family_in(name: str, lab: Callable[[str], str]) -> str:
    """The family that the name of a dataset tells: how its rows were made.

    A spoilt dataset is of the family of its last spoiling and a mixture of its own; a slice is of the family of what it
    was cut from, as cutting changes no row.

    Args:
        lab: tells the family of a name that is no expression.
    """
    parsed = _known_form(name)
    while isinstance(parsed, Expression):
        if parsed.operator != SLICE:
            return f"{parsed.operator}:{parsed.how}" if parsed.how else parsed.operator
        parsed = parsed.parts[0]
    return lab(parsed)


def _known_form(name: str) -> Expression | str:
    """As :func:`parse_name`, of a name that may be of another machine: nothing is looked up, nothing refused."""
    try:
        return parse_name(name, exists=lambda path: False)
    except ConfigError:
        return name


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _leaves(part: Expression | str) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    else:
        yield from part.leaves


def _parsed(text: str, exists: Exists, depth: int) -> Expression | str:
    if exists(text):
        return text
    if depth > _DEEPEST:
        raise ConfigError("operators are nested too deeply", where=text, rule=f"at most {_DEEPEST} in one another")
    if _is_held(text):
        return _parsed(text[1:-1], exists, depth + 1)
    operator, colon, rest = text.partition(":")
    if colon and operator == HELD_OUT:
        raise ConfigError(
            f"'{text}' is no dataset",
            where=text,
            rule=f"{HELD_OUT}:SHARE names the part of the training data that -P eval_dataset holds out of it",
            fix=f"-P dataset=FILE -P eval_dataset={HELD_OUT}:0.1",
        )
    if not colon or operator not in OPERATORS:
        _refuse_near(text, operator, bool(colon))
        return text
    how = ""
    if operator == SPOIL:
        how, _, rest = rest.partition(":")
    options, rest = _options(rest, exists)
    if not rest:
        raise ConfigError(
            f"{operator} names no dataset",
            where=text,
            rule=RULE,
            fix="end with the dataset; put a file whose name reads like key=value in brackets",
        )
    if operator not in _OF_SEVERAL:
        return Expression(text, operator, how, options, (_parsed(rest, exists, depth + 1),))
    weights, parts = zip(*(_weighted(part, text) for part in _parts(rest, text, operator)), strict=True)
    return Expression(text, operator, "", options, tuple(_parsed(part, exists, depth + 1) for part in parts), weights)


def _refuse_near(text: str, word: str, colon: bool) -> None:
    """Raise ConfigError for a word before a colon that was meant to be an operator."""
    if colon and _WORD.fullmatch(word) and (near := difflib.get_close_matches(word, OPERATORS, n=1)):
        raise ConfigError(f"unknown operator '{word}'", where=text, rule=RULE, fix=f"did you mean '{near[0]}'?")


def _options(rest: str, exists: Exists) -> tuple[tuple[tuple[str, str], ...], str]:
    """The `key=value` at the beginning, and what follows them."""
    found = []
    while rest and not exists(rest):
        segment, _, behind = rest.partition(":")
        match = _OPTION.fullmatch(segment)
        if not match:
            break
        found.append((match[1], match[2]))
        rest = behind
    return tuple(found), rest


def _parts(rest: str, text: str, operator: str) -> list[str]:
    parts = _at_commas(rest)
    if rest.count("(") != rest.count(")"):
        raise ConfigError("brackets do not close", where=text, rule=RULE, fix="mix:0.7:A,0.3:(mix:0.5:B,0.5:C)")
    if operator == MIX and len(parts) < 2:
        raise ConfigError(
            "a mixture needs two parts at least",
            where=text,
            rule=RULE,
            fix="where commas separate datasets, write the mixture in brackets: (mix:0.7:A,0.3:B)",
        )
    return parts


def _weighted(part: str, text: str) -> tuple[str, str]:
    weight, _, dataset = part.strip().partition(":")
    if not dataset:
        raise ConfigError(
            f"the part '{part}' of a mixture is no WEIGHT:DATASET", where=text, rule=RULE, fix="mix:0.7:A,0.3:B"
        )
    return weight, dataset


def _at_commas(text: str) -> list[str]:
    """The pieces between commas outside brackets; between all commas where the brackets do not close."""
    pieces, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == "," and not depth:
            pieces.append(text[start:at])
            start = at + 1
    return text.split(",") if depth else [*pieces, text[start:]]


def _is_held(text: str) -> bool:
    """Whether one pair of brackets stands around the whole text."""
    if not (text.startswith("(") and text.endswith(")")):
        return False
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth:
            return at == len(text) - 1
    return False
