"""Which rows an expensive feature looks at."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def sample(rows: Sequence[T], most: int) -> list[T]:
    """At most `most` rows in their order, drawn evenly at random and always the same ones.

    The draw depends on the number of rows alone, never on the seed of a fine-tune: features of the dataset do not
    change between seeds.
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[index] for index in sorted(random.Random(0).sample(range(len(rows)), most))]
