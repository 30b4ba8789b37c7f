"""Rows that repeat one another, exactly or nearly, and the groups that must not be split."""

from __future__ import annotations

import hashlib
from typing import Any

from predictor.data.example import Example
from predictor.data.fingerprint import input_text
from predictor.data.nearrows import NearRows


class Duplicates:
    """Counts exact repeats over all rows, and near repeats (see `NearRows`) over the first `limit` rows."""

    def __init__(self, threshold: float, limit: int) -> None:
        self._threshold, self._limit = threshold, limit
        self._rows: set[bytes] = set()
        self._inputs: set[str] = set()
        self._near_rows = NearRows(threshold)
        self._seen = self._exact = self._same_input = self._near = self._looked_at = 0

    def add(self, example: Example, row_hash: str, group: int) -> None:
        """Count a row in; `group` is the key under which it is split."""
        parts = (input_text(example), example.label or "", *example.answers)
        content = hashlib.blake2b("\x1e".join(parts).encode(), digest_size=8).digest()
        self._exact += content in self._rows
        self._rows.add(content)
        repeated = row_hash in self._inputs
        self._inputs.add(row_hash)
        self._same_input += repeated
        if not self._limit or self._seen < self._limit:
            self._looked_at += 1
            self._near += repeated or self._near_rows.insert(example, self._seen, group)
        self._seen += 1

    def merged(self) -> dict[int, int]:
        """Group key → key of the near-duplicate group that it belongs to."""
        return self._near_rows.groups.names()

    def figures(self) -> dict[str, Any]:
        """`near` counts rows whose input equals or nearly equals an earlier one's, among the `near_looked_at` first."""
        return {
            "exact": self._exact,
            "exact_rate": self._exact / max(1, self._seen),
            "same_input": self._same_input,
            "near": self._near,
            "near_rate": self._near / max(1, self._looked_at),
            "near_looked_at": self._looked_at,
            "near_threshold": self._threshold,
        }
