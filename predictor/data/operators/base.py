"""What an operator works on, and the catalog of the ways to spoil."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from random import Random
from typing import Final, NamedTuple

from predictor.catalog import Catalog
from predictor.data.example import Example
from predictor.data.fingerprint import Fingerprint
from predictor.data.operators.neighbours import Neighbours


class Row(NamedTuple):
    """A row, and the row of a file that it was made of: the same one where nothing was changed."""

    example: Example
    origin: Example


@dataclass(frozen=True)
class Rows:
    """The rows of a dataset on their way through operators.

    Attributes:
        notes: what came of each operator.
        fingerprint: of a file, which is known when it was read; empty where it is still to be found.
    """

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    fingerprint: str = ""

    @classmethod
    def read(cls, examples: Iterable[Example], fingerprint: str = "") -> Rows:
        """The rows of a file as they are."""
        return cls(tuple(Row(example, example) for example in examples), fingerprint=fingerprint)

    @cached_property
    def digest(self) -> str:
        """The fingerprint of the content: what names the random streams of operators."""
        if self.fingerprint:
            return self.fingerprint
        fingerprint = Fingerprint()
        for example, _ in self.rows:
            fingerprint.add(example)
        return fingerprint.digest

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class Spoilt:
    """What came of spoiling.

    Attributes:
        rows: of the new dataset. changed: how many were spoilt; asked: how many the dial asks for.
        passed_over: reason → rows that were met and could not be spoilt.
        said: what was done to the changed rows, in words.
    """

    rows: list[Row]
    changed: int
    asked: int
    passed_over: Counter[str] = field(default_factory=Counter)
    said: str = "are spoilt"


SpoilRow = Callable[[Example, Random, Neighbours], Example | str]
"""(row, random stream of this row, all rows of the dataset) → the spoilt row, or why it cannot be spoilt."""
SpoilAll = Callable[[Sequence[Row], float, str], Spoilt]
"""(rows, dial, name of the random stream) → the spoilt dataset."""


@dataclass(frozen=True)
class Spoiler:
    """One way in which a dataset can be poor.

    Attributes:
        dial: what the dial means. needs: what a row needs to be spoilt, for messages.
    """

    dial: str
    needs: str
    spoil: SpoilAll


SPOILERS: Final[Catalog[Spoiler]] = Catalog("way to spoil")


def spoils_rows(name: str, what: str, needs: str) -> Callable[[SpoilRow], SpoilRow]:
    """Decorator of a function that spoils one row: the dial is the share of rows that it spoils."""

    def register(spoil: SpoilRow) -> SpoilRow:
        SPOILERS.add(name, Spoiler(f"share of rows {what}", needs, _share(spoil)))
        return spoil

    return register


def spoils_datasets(name: str, dial: str, needs: str) -> Callable[[SpoilAll], SpoilAll]:
    """Decorator of a function that spoils a dataset as a whole."""

    def register(spoil: SpoilAll) -> SpoilAll:
        SPOILERS.add(name, Spoiler(dial, needs, spoil))
        return spoil

    return register


def drawn(stream: str, size: int) -> list[int]:
    """The positions 0 … size − 1 in the order of a random stream."""
    return Random(f"{stream}-order").sample(range(size), size)


def _share(spoil: SpoilRow) -> SpoilAll:
    """A higher dial spoils the same rows in the same way, and more: rows are taken in one order, whatever the dial."""

    def spoil_share(rows: Sequence[Row], dial: float, stream: str) -> Spoilt:
        neighbours = Neighbours([row.example for row in rows])
        result = Spoilt(list(rows), 0, round(dial * len(rows)))
        changed = 0
        for position in drawn(stream, len(rows)):
            if changed == result.asked:
                break
            example = rows[position].example
            spoilt = spoil(example, Random(f"{stream}-row-{position}"), neighbours)
            if isinstance(spoilt, str):
                result.passed_over[spoilt] += 1
                continue
            result.rows[position] = rows[position]._replace(example=spoilt)
            changed += 1
        return replace(result, changed=changed)

    return spoil_share


def with_own_ids(rows: Iterable[Row]) -> list[Row]:
    """The rows, a number added to the id of each that repeats an earlier one's."""
    seen: set[str] = set()
    numbers: Counter[str] = Counter()
    kept = []
    for row in rows:
        own = row.example.id
        while own in seen:
            numbers[row.example.id] += 1
            own = f"{row.example.id}#{numbers[row.example.id] + 1}"
        seen.add(own)
        kept.append(row if own == row.example.id else row._replace(example=replace(row.example, id=own)))
    return kept
