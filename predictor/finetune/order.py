"""In which order rows are learnt from, over all epochs: the batches are this order cut into pieces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Final

LENGTHS: Final = "lengths"
"""The trainer's own order: at random, rows of like length together."""


def presented_rows(tasks: Sequence[str], how: str, epochs: float, batch_size: int, seed: int) -> list[int]:
    """Positions of rows in the order in which they are learnt from; every epoch has each row once.

    Args:
        tasks: of each row.
        how: `random` draws every epoch anew; `by_task` too, but puts rows of one task into each batch, and rows that
            fill no batch into the next epoch, at last into mixed batches at the end; `as_given` takes them as they are.
        epochs: passes; a part of one takes the beginning of its order.

    Returns:
        ⌈epochs · rows⌉ positions; none for the trainer's own order.
    """
    if how == LENGTHS:
        return []
    total = math.ceil(epochs * len(tasks) - 1e-9)
    random = Random(f"order-{seed}")
    found: list[int] = []
    waiting: dict[str, list[int]] = {}
    left = total
    while left > 0:
        epoch = list(range(len(tasks)))
        if how != "as_given":
            random.shuffle(epoch)
        epoch = epoch[:left]
        left -= len(epoch)
        found += _batched(epoch, tasks, waiting, batch_size, random) if how == "by_task" else epoch
    return found + [row for rows in waiting.values() for row in rows]


def _batched(
    epoch: Sequence[int], tasks: Sequence[str], waiting: dict[str, list[int]], size: int, random: Random
) -> list[int]:
    """Whole batches of one task each, in a random order; what fills none waits."""
    batches: list[list[int]] = []
    for row in epoch:
        held = waiting.setdefault(tasks[row], [])
        held.append(row)
        if len(held) == size:
            batches.append(list(held))
            held.clear()
    random.shuffle(batches)
    return [row for batch in batches for row in batch]
