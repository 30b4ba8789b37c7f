"""What a container hands to a format: one raw value and the place where it was found."""

from __future__ import annotations

from typing import Any, NamedTuple

from predictor.data.rejection import Rejection


class Record(NamedTuple):
    """One raw row. `row` names its place in `file`; `number` counts the records of the source from 1.

    `part` is what the file holds by its name, of a dataset that lies in several files.
    """

    value: Any
    file: str
    row: str
    number: int
    part: str = ""

    def refuse(self, code: str, field: str, expected: str, found: str) -> Rejection:
        """The rejection of this record as a whole."""
        return Rejection(code, self.file, self.row, field, expected, found, self.value)
