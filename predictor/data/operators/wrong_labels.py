"""Labels of other classes: symmetric label noise (Angluin and Laird, Machine Learning 1988)."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from predictor.data.example import Example
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours


@spoils_rows("wrong_labels", "with the label of another class", "a label, and rows of another class")
def wrong_label(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """Any of the other classes, each as likely."""
    if example.label is None:
        return "no label"
    others = [label for label in rows.labels if label != example.label]
    return replace(example, label=rng.choice(others)) if others else "no other class"
