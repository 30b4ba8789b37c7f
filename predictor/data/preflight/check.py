"""The pre-flight check: fed row by row while a dataset is prepared."""

from __future__ import annotations

from typing import Any

from predictor.data.example import Example
from predictor.data.preflight.content import Content
from predictor.data.preflight.duplicates import Duplicates
from predictor.data.preflight.overlap import EvaluationIndex
from predictor.data.preflight.tokens import Lengths, Measure

NEAR_THRESHOLD = 0.8
NEAR_ROWS = 20_000


class Preflight:
    """Figures of the training rows.

    Args:
        measure: token lengths by the base model's tokenizer; None leaves them out.
        max_length: tokens of prompt and completion together; 0 sets no limit.
        evaluation: the set that the model will be evaluated on; None leaves the overlap out.
        near_rows: rows among which near-duplicates are looked for; 0 looks at all.
    """

    def __init__(
        self,
        *,
        measure: Measure | None = None,
        max_length: int = 0,
        evaluation: EvaluationIndex | None = None,
        near_threshold: float = NEAR_THRESHOLD,
        near_rows: int = NEAR_ROWS,
    ) -> None:
        self._content = Content()
        self._duplicates = Duplicates(near_threshold, near_rows)
        self._lengths = Lengths(measure, max_length) if measure is not None else None
        self._evaluation = evaluation

    def add(self, example: Example, row_hash: str, group: int) -> None:
        """Count an accepted row in.

        Args:
            row_hash: as the fingerprint gave it. group: the key under which the row is split.
        """
        self._content.add(example)
        self._duplicates.add(example, row_hash, group)
        if self._lengths is not None:
            self._lengths.add(example)
        if self._evaluation is not None:
            self._evaluation.add(example, row_hash)

    def merged_groups(self) -> dict[int, int]:
        """Group key → key of the near-duplicate group that it belongs to."""
        return self._duplicates.merged()

    def figures(self) -> dict[str, Any]:
        """The figures as JSON values; `tokens` and `overlap` only where they were asked for."""
        found = {**self._content.figures(), "duplicates": self._duplicates.figures()}
        if self._lengths is not None:
            found["tokens"] = self._lengths.figures()
        if self._evaluation is not None:
            found["overlap"] = self._evaluation.figures()
        return found
