"""Columns of many runs, of which most are alike in most: what is equal is held, decoded and compared once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Coded:
    """n values as positions in a list of distinct ones; pandas calls this a categorical.

    Attributes:
        codes: (n,) positions in `distinct`.
        distinct: values of any type; some of them may stand in no row.
    """

    codes: np.ndarray
    distinct: Sequence[Any]

    @classmethod
    def of(cls, values: Iterable[Hashable]) -> Coded:
        """The column of these values, one for each row."""
        coder = Coder()
        coder.add(values)
        return coder.coded()

    @classmethod
    def concat(cls, parts: Iterable[Coded]) -> Coded:
        """The rows of all parts, one after the other."""
        coder = Coder()
        for part in parts:
            coder.add_coded(part)
        return coder.coded()

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> Any:
        return self.distinct[self.codes[row]]

    def __iter__(self) -> Iterator[Any]:
        return map(self.distinct.__getitem__, self.codes.tolist())

    def take(self, rows: np.ndarray) -> Coded:
        """The rows at these positions; distinct values stay, also those that stand in no row now."""
        return Coded(self.codes[rows], self.distinct)

    def map(self, function: Callable[[Any], Any]) -> Coded:
        """The column of `function(value)`, which is called once for each distinct value."""
        return Coded(self.codes, [function(value) for value in self.distinct])

    def matches(self, test: Callable[[Any], Any]) -> np.ndarray:
        """(n,) whether `test(value)` is true."""
        return np.array([bool(test(value)) for value in self.distinct], dtype=bool)[self.codes]

    def used(self) -> Coded:
        """The same column without the distinct values that stand in no row."""
        present, codes = np.unique(self.codes, return_inverse=True)
        return Coded(codes, [self.distinct[code] for code in present.tolist()])

    def firsts(self) -> list[int]:
        """The first row of each value that stands in any."""
        return np.unique(self.codes, return_index=True)[1].tolist()

    def otherwise(self, other: Coded) -> Coded:
        """The value of `other` in the rows where this column's is empty."""
        coder = Coder()
        own, others = coder.codes(self.distinct), coder.codes(other.distinct)
        return Coded(np.where(self.matches(bool), own[self.codes], others[other.codes]), coder.distinct)


class Coder:
    """Makes a :class:`Coded` of values that come in pieces; equal values get one code."""

    def __init__(self) -> None:
        self._codes = _Codes()
        self._parts: list[np.ndarray] = [np.empty(0, np.int64)]

    def codes(self, values: Iterable[Hashable]) -> np.ndarray:
        """(values,) the codes of these values; they become distinct values, not rows."""
        return np.fromiter(map(self._codes.__getitem__, values), dtype=np.int64)

    def add(self, values: Iterable[Hashable]) -> None:
        """Add rows with these values."""
        self._parts.append(self.codes(values))

    def add_coded(self, column: Coded) -> None:
        """Add the rows of a column; what is done for a value is done once for each distinct one."""
        self._parts.append(self.codes(column.distinct)[column.codes])

    @property
    def distinct(self) -> list[Any]:
        """The values so far, each at the position that is its code."""
        return list(self._codes)

    def coded(self) -> Coded:
        """The rows so far as a column."""
        return Coded(np.concatenate(self._parts), self.distinct)


class _Codes(dict[Hashable, int]):
    """Value → code, counted on by values that it does not know; a lookup of a known one never leaves C."""

    def __missing__(self, value: Hashable) -> int:
        code = self[value] = len(self)
        return code


def combined(columns: Sequence[Coded]) -> np.ndarray:
    """(n,) the number of each row's combination of values, counted from 0 by first appearance."""
    import pandas as pd

    numbers = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        # Counted anew after each column: the product of their sizes may be larger than 2^63.
        numbers = pd.factorize(numbers * len(column.distinct) + column.codes)[0]
    return numbers
