"""What a base model said, kept: every fine-tune of a sweep is compared with the same base, asked the same things."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.cache import keep, kept
from predictor.config import canonical_hash

Rows = list[list[Any]]


@dataclass(frozen=True)
class Memory:
    """Numbers that one base model gave, one file of JSON for everything that it was asked at once.

    Attributes:
        folder: where the files are; it need not exist.
        parts: everything that the numbers depend on beside what is asked, as JSON values: the model, the code, the
            machine's arithmetic.
    """

    folder: Path
    parts: Mapping[str, Any]

    def recall(self, asked: Mapping[str, Any], compute: Callable[[], Sequence[Sequence[Any]]]) -> tuple[Rows, bool]:
        """What was said when the same was asked, or what `compute` says now, which is kept.

        A folder that cannot be written costs the time of the next evaluation, and is told. A damaged file is computed
        anew.

        Returns:
            rows of numbers, and whether they were known.
        """
        path = self.folder / f"{canonical_hash({'parts': dict(self.parts), 'asked': dict(asked)})}.json"
        if (known := _read(path)) is not None:
            return known, True
        rows = [list(row) for row in compute()]
        keep(path, rows, "the base's answers are not kept")
        return rows, False


def _read(path: Path) -> Rows | None:
    rows = kept(path)
    sound = isinstance(rows, list) and all(isinstance(row, list) for row in rows)
    return rows if sound else None
