"""A class of which most rows are missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from predictor.data.operators.base import Row, Spoilt, drawn, spoils_datasets


@spoils_datasets("imbalance", "share of the rows of one class that are left out", "labels of two classes or more")
def imbalance(rows: Sequence[Row], dial: float, stream: str) -> Spoilt:
    """The rows without a share of one class, which the seed draws; at 1 the class is gone."""
    sizes = Counter(row.example.label for row in rows if row.example.label is not None)
    if len(sizes) < 2:
        reason = "no other class" if sizes else "no label"
        return Spoilt(list(rows), 0, round(dial * len(rows)), Counter({reason: len(rows)}))
    chosen = Random(f"{stream}-class").choice(sorted(sizes))
    members = [position for position in drawn(stream, len(rows)) if rows[position].example.label == chosen]
    asked = round(dial * len(members))
    gone = set(members[:asked])
    left = [row for position, row in enumerate(rows) if position not in gone]
    return Spoilt(left, asked, asked, Counter(), f"are left out, of the {len(members)} of class '{chosen}'")
