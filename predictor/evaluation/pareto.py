"""Which of several candidates no other one beats in both of two numbers."""

from __future__ import annotations

from collections.abc import Sequence


def front(gains: Sequence[float], losses: Sequence[float]) -> list[bool]:
    """For each candidate whether none has a gain at least as high and a loss at most as high, one of them better.

    A candidate of which one number is not known (NaN) is on no front.
    """
    pairs = list(zip(gains, losses, strict=True))
    known = [pair for pair in pairs if pair[0] == pair[0] and pair[1] == pair[1]]
    return [
        pair[0] == pair[0]
        and pair[1] == pair[1]
        and not any(g >= pair[0] and c <= pair[1] and (g, c) != pair for g, c in known)
        for pair in pairs
    ]
