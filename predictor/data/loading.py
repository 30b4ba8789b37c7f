"""Reading a whole dataset into memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from predictor.data.example import Example
from predictor.data.rejection import Rejection
from predictor.data.stream import nothing_usable, open_stream, refused


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory.

    Attributes:
        examples: the accepted rows in the order of the file, ids unique.
        source: what was asked for.
        format: the dataset format (`squad`, `messages`, …).
        format_reason: why this format was chosen.
        fingerprint: 16 hex digits over the content of the accepted rows, their ids left out.
        row_sketch: at most 512 row hashes (10 hex digits each), sorted; see `Fingerprint.sketch`.
        rejections: the refused rows, at most as many as were asked to be kept.
        rejected: the number of refused rows.
        notes: what the user should know although no row is refused for it.
        row_hashes: (hashes,) more row hashes of a large dataset, as sorted integers; see `Fingerprint.row_hashes`.
    """

    examples: tuple[Example, ...]
    source: str
    format: str
    format_reason: str
    fingerprint: str
    row_sketch: tuple[str, ...]
    rejections: tuple[Rejection, ...] = ()
    rejected: int = 0
    notes: tuple[str, ...] = ()
    row_hashes: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64), repr=False, compare=False)

    @property
    def rows(self) -> int:
        """Rows of the source: accepted and refused."""
        return len(self.examples) + self.rejected


def load(
    source: str | Path, *, format: str = "auto", drop_bad: bool = False, limit_rejections: int | None = None
) -> Dataset:
    """A dataset from a file, a folder (its training split) or a hub id.

    Args:
        format: a dataset format, or `auto` to tell it from the content.
        drop_bad: keep refused rows in `rejections` and go on, instead of raising.
        limit_rejections: keep at most this many refused rows; all are counted.

    Raises:
        DataError: the source is missing, damaged or in no known format; a row is refused while `drop_bad` is false; or
            no row is accepted.
    """
    stream = open_stream(source, format=format)
    examples: list[Example] = []
    rejections: list[Rejection] = []
    keep = limit_rejections if drop_bad else 5
    for outcome, _ in stream:
        if isinstance(outcome, Example):
            examples.append(outcome)
        elif keep is None or len(rejections) < keep:
            rejections.append(outcome)
    if not examples:
        raise nothing_usable(str(source), rejections, stream)
    if stream.rejected and not drop_bad:
        raise refused(stream, rejections)
    return Dataset(
        examples=tuple(examples),
        source=str(source),
        format=stream.format,
        format_reason=stream.format_reason,
        fingerprint=stream.fingerprint.digest,
        row_sketch=stream.fingerprint.sketch,
        rejections=tuple(rejections),
        rejected=stream.rejected,
        notes=tuple(stream.notes),
        row_hashes=stream.fingerprint.row_hashes,
    )
