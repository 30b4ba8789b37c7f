"""Near-duplicate rows: near questions about near passages, or near texts."""

from __future__ import annotations

from predictor.data.example import Example
from predictor.data.fingerprint import input_text, text_hash
from predictor.data.neardup import Merged, NearIndex


class NearRows:
    """Rows that were inserted, each under the key of its split group.

    Rows about a passage are near when their questions are near and their passages are the same or near: most of such a
    row's text is its passage, so that whole texts would make all questions about it near. Other rows are near when
    their inputs are.
    """

    def __init__(self, threshold: float) -> None:
        self.groups = Merged()
        """Near passages, and near texts without a passage, are one group."""
        self._passages, self._texts = NearIndex(threshold), NearIndex(threshold)
        self._known: set[int] = set()
        self._group_of_row: dict[int, int] = {}
        self._looked_up: dict[str, frozenset[int]] = {}

    def insert(self, example: Example, row: int, group: int) -> bool:
        """Add a row; returns whether it is near an earlier one."""
        if example.context and group not in self._known:
            sketch = self._passages.sketch(example.context)
            near_passages = self._passages.near(sketch)
            for other in near_passages:
                self.groups.join(group, other)
            self._passages.insert(group, sketch)
            self._known.add(group)
            if not example.question:
                return bool(near_passages)
        elif example.context and not example.question:
            return True
        sketch = self._texts.sketch(_text(example))
        owners = [self._group_of_row[other] for other in self._texts.near(sketch)]
        self._texts.insert(row, sketch)
        self._group_of_row[row] = group
        if example.context:
            return any(self.groups.find(owner) == self.groups.find(group) for owner in owners)
        for owner in owners:
            self.groups.join(group, owner)
        return bool(owners)

    def matches(self, example: Example) -> tuple[bool, bool]:
        """Whether the passage, and whether the row as a whole, is near an inserted one; nothing is added."""
        groups = self._near_groups(example.context) if example.context else frozenset()
        if example.context and (not groups or not example.question):
            return bool(groups), bool(groups)
        near = self._texts.near(self._texts.sketch(_text(example)))
        owners = [self._group_of_row[other] for other in near]
        if not example.context:
            return False, bool(owners)
        return True, any(owner in groups for owner in owners)

    def _near_groups(self, passage: str) -> frozenset[int]:
        key = text_hash(passage)
        if key not in self._looked_up:
            self._looked_up[key] = frozenset(self._passages.near(self._passages.sketch(passage)))
        return self._looked_up[key]


def _text(example: Example) -> str:
    return example.question if example.context and example.question else input_text(example)
