"""Rows that repeat others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from predictor.data.operators.base import Row, Spoilt, drawn, spoils_datasets, with_own_ids


@spoils_datasets("duplicated_rows", "share of rows that repeat others, the number of rows being the same", "two rows")
def duplicated_rows(rows: Sequence[Row], dial: float, stream: str) -> Spoilt:
    """As many rows as before, in their places; the rows that stay are repeated in turns. One row stays at least."""
    order = drawn(stream, len(rows))
    asked = round(dial * len(rows))
    changed = min(asked, len(rows) - 1)
    passed_over = Counter({"one row must stay": asked - changed} if asked > changed else {})
    repeated, kept = order[:changed], order[changed:]
    result = list(rows)
    for turn, position in enumerate(repeated):
        result[position] = rows[kept[turn % len(kept)]]
    # A row that stays keeps its id, wherever its copies stand.
    firsts = [result[position] for position in kept] + [result[position] for position in repeated]
    places = [*kept, *repeated]
    for position, row in zip(places, with_own_ids(firsts), strict=True):
        result[position] = row
    return Spoilt(result, changed, asked, passed_over, "repeat others")
