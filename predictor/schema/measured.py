"""Metrics of many runs, in a small part of the memory that dicts would take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from predictor.schema.coded import Coded, Coder


@dataclass(frozen=True, eq=False)
class Metrics:
    """The metrics of n runs, 8 bytes for each value.

    Attributes:
        names: for each run a tuple of its keys, sorted.
        starts: (n,) where in `values` the first value of a run stands; the others follow in the order of its keys.
        values: float64.
    """

    names: Coded
    starts: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, runs: Iterable[Mapping[str, float]]) -> Metrics:
        """The metrics of runs that are given as dicts, in their order."""
        names: list[tuple[str, ...]] = []
        values: list[float] = []
        starts: list[int] = []
        for metrics in runs:
            names.append(tuple(sorted(metrics)))
            starts.append(len(values))
            values += [metrics[name] for name in names[-1]]
        return cls(Coded.of(names), np.array(starts, np.int64), np.array(values, float))

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, rows: np.ndarray) -> Metrics:
        """The runs at `rows`; the values stay where they are."""
        return Metrics(self.names.take(rows), self.starts[rows], self.values)

    def run(self, row: int) -> np.ndarray:
        """The values of one run, in the order of its keys."""
        start = self.starts[row]
        return self.values[start : start + len(self.names[row])]

    def alike(self) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
        """Each set of keys that any run has, with the rows that have it."""
        used = self.names.used()
        for code, names in enumerate(used.distinct):
            yield names, np.flatnonzero(used.codes == code)

    @cached_property
    def known(self) -> list[str]:
        """All keys that any run has, sorted."""
        return sorted({name for names in self.names.used().distinct for name in names})

    def matrix(self, names: Sequence[str]) -> np.ndarray:
        """(n, len(names)), NaN where a run does not have the metric."""
        found = np.full((len(self), len(names)), np.nan)
        for known, rows in self.alike():
            position = {name: i for i, name in enumerate(known)}
            at = np.array([position.get(name, -1) for name in names], dtype=np.int64)
            columns = np.flatnonzero(at >= 0)
            found[np.ix_(rows, columns)] = self.values[self.starts[rows, None] + at[columns]]
        return found

    def column(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(n,) values, and (n,) whether the run has the metric at all: a value that it has may be NaN."""
        return self.matrix([name])[:, 0], self.names.matches(lambda names: name in names)


class Collected:
    """Makes :class:`Metrics` of runs that come in pieces."""

    def __init__(self) -> None:
        self._names = Coder()
        self._starts: list[np.ndarray] = [np.empty(0, np.int64)]
        self._values: list[np.ndarray] = [np.empty(0)]
        self._size = 0

    def add(self, metrics: Metrics) -> None:
        """Add the runs of a piece."""
        self._names.add_coded(metrics.names)
        self._append(metrics.starts, metrics.values)

    def add_alike(self, names: tuple[str, ...], values: np.ndarray) -> None:
        """Further runs that have the same keys, `values` of shape (runs, names)."""
        runs, each = values.shape
        self._names.add_coded(Coded(np.zeros(runs, np.int64), [names]))
        self._append(np.arange(runs) * each, values.reshape(-1))

    def metrics(self) -> Metrics:
        """The runs so far, in the order in which they came."""
        return Metrics(self._names.coded(), np.concatenate(self._starts), np.concatenate(self._values))

    def _append(self, starts: np.ndarray, values: np.ndarray) -> None:
        self._starts.append(starts + self._size)
        self._values.append(values)
        self._size += len(values)


class Measured(Mapping[str, float]):
    """Some of the metrics of one run by name: their values beside names that many runs share.

    Args:
        positions: name → position in `values`, in the order of `values`.
    """

    __slots__ = ("_positions", "_values")

    def __init__(self, positions: Mapping[str, int], values: np.ndarray) -> None:
        self._positions, self._values = positions, values

    def __getitem__(self, name: str) -> float:
        return float(self._values[self._positions[name]])

    def __contains__(self, name: object) -> bool:
        return name in self._positions

    def __iter__(self) -> Iterator[str]:
        return iter(self._positions)

    def __len__(self) -> int:
        return len(self._positions)

    def values(self) -> list[float]:  # type: ignore[override]  # all at once: one by one would be ten times slower
        """The values as a list, in the order of the names."""
        return self._values.tolist()

    def __repr__(self) -> str:
        return repr(dict(self))
