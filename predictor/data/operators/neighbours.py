"""The other rows of a dataset, drawn at random in constant time: what spoils a row often comes from another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from random import Random
from typing import Final

from predictor.data.example import Example

_TRIES: Final = 64
"""Rows that are looked at for one that fits. Of so few or fewer all are looked at."""

Fits = Callable[[Example], bool]


class Neighbours:
    """All rows of a dataset, by passage and at random."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples

    def same_passage(self, example: Example, rng: Random, fits: Fits) -> Example | None:
        """A row of the same passage that fits, None when there is none (or none among 64 that were drawn)."""
        first, behind = self._places[_passage(example)]
        order = self._order
        return self._drawn(behind - first, rng, lambda place: order[first + place], fits)

    def other_passage(self, example: Example, rng: Random, fits: Fits) -> Example | None:
        """The same of another passage."""
        first, behind = self._places[_passage(example)]
        order, held = self._order, behind - first
        count = len(order) - held
        return self._drawn(count, rng, lambda place: order[place if place < first else place + held], fits)

    def any_other(self, example: Example, rng: Random, fits: Fits) -> Example | None:
        """A row of another passage that fits, else one of the same passage."""
        return self.other_passage(example, rng, fits) or self.same_passage(example, rng, fits)

    def _drawn(self, count: int, rng: Random, at: Callable[[int], int], fits: Fits) -> Example | None:
        few = count <= _TRIES
        places = rng.sample(range(count), count) if few else (rng.randrange(count) for _ in range(_TRIES))
        found = (self.examples[at(place)] for place in places)
        return next((example for example in found if fits(example)), None)

    @cached_property
    def labels(self) -> list[str]:
        """The classes, sorted."""
        return sorted({example.label for example in self.examples if example.label is not None})

    @cached_property
    def _members(self) -> dict[str, list[int]]:
        members: dict[str, list[int]] = {}
        for position, example in enumerate(self.examples):
            members.setdefault(_passage(example), []).append(position)
        return members

    @cached_property
    def _order(self) -> list[int]:
        """The rows' positions, those of one passage side by side."""
        return [position for positions in self._members.values() for position in positions]

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Passage → where its rows begin and end in the order."""
        places, first = {}, 0
        for passage, positions in self._members.items():
            places[passage] = first, first + len(positions)
            first += len(positions)
        return places


def _passage(example: Example) -> str:
    return example.group or example.context or f"row {example.id}"
