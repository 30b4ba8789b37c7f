"""Metrics of many runs, in a small part of the memory that dicts would take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Doubles = Any
"""An `array` of doubles, or a slice of a numpy array."""


class Measured(Mapping[str, float]):
    """The metrics of one run by name: their values, 8 bytes each, beside names that many runs share.

    A dict of a run's hundred metrics takes ten times as much, and as long to make as to read the run.

    Args:
        positions: name → position in `values`, in the order of `values`.
        values: an array of doubles.
    """

    __slots__ = ("_positions", "_values")

    def __init__(self, positions: Mapping[str, int], values: Doubles) -> None:
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
        return self._values.tolist()

    @property
    def doubles(self) -> Doubles:
        """The values in the order of the names."""
        return self._values

    def __repr__(self) -> str:
        return repr(dict(self))


def doubles(metrics: Mapping[str, float]) -> np.ndarray:
    """The values of any mapping as float64, in its order."""
    if isinstance(metrics, Measured):
        return np.asarray(metrics.doubles)
    return np.fromiter(metrics.values(), dtype=float, count=len(metrics))
