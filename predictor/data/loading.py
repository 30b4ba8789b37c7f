"""Reading a whole dataset into memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from predictor.config import Expression, parse_name
from predictor.data.example import Example
from predictor.data.fingerprint import Fingerprint
from predictor.data.formats.base import Format
from predictor.data.operators import Rows, made
from predictor.data.rejection import Rejection
from predictor.data.sources import TRAIN
from predictor.data.stream import nothing_usable, open_stream, refused


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory.

    Attributes:
        examples: the accepted rows in the order of the file, ids unique.
        source: what was asked for.
        format: the dataset format (`squad`, `messages`, …); of a mixture of several, `messages`.
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
    source: str | Path | Expression,
    *,
    format: str | Format = "auto",
    split: str = TRAIN,
    drop_bad: bool = False,
    limit_rejections: int | None = None,
    fields: Mapping[str, str] | None = None,
) -> Dataset:
    """A dataset from a file, a folder (its training split), a hub id, or an expression over these.

    Args:
        format: a dataset format, or `auto` to tell it from the content.
        split: of a folder or hub id.
        drop_bad: keep refused rows in `rejections` and go on, instead of raising.
        limit_rejections: keep at most this many refused rows; all are counted.
        fields: name of a field in the files → the name by which formats know it.

    Raises:
        DataError: the source is missing, damaged or in no known format; a row is refused while `drop_bad` is false; or
            no row is accepted. ConfigError, DataError: an expression names an operator or value that does not exist, or
            asks for what its datasets do not have.
    """
    expression = expression_of(source)
    if expression is not None:
        return _made(expression, lambda leaf: _read(leaf, format, split, drop_bad, limit_rejections, fields))
    return _read(str(source), format, split, drop_bad, limit_rejections, fields)


def expression_of(source: str | Path | Expression) -> Expression | None:
    """The expression that a source is; None of a file, a folder or a hub id."""
    if isinstance(source, Path):
        return None
    parsed = parse_name(source) if isinstance(source, str) else source
    return parsed if isinstance(parsed, Expression) else None


def _made(expression: Expression, read: Callable[[str], Dataset]) -> Dataset:
    leaves: list[Dataset] = []

    def rows_of(leaf: str) -> Rows:
        leaves.append(read(leaf))
        return Rows.read(leaves[-1].examples, leaves[-1].fingerprint)

    result = made(expression, rows_of)
    fingerprint = Fingerprint()
    for example, origin in result.rows:
        fingerprint.add(example)
        if origin is not example:
            # A row whose words were changed is still a row of its file to whoever asks which datasets share rows.
            fingerprint.also(origin)
    formats = list(dict.fromkeys(leaf.format for leaf in leaves))
    # A conversation holds a row of any other format.
    format, reason = (formats[0], leaves[0].format_reason) if len(formats) == 1 else ("messages", " and ".join(formats))
    return Dataset(
        examples=tuple(row.example for row in result.rows),
        source=str(expression),
        format=format,
        format_reason=reason,
        fingerprint=fingerprint.digest,
        row_sketch=fingerprint.sketch,
        rejections=tuple(rejection for leaf in leaves for rejection in leaf.rejections),
        rejected=sum(leaf.rejected for leaf in leaves),
        notes=tuple(note for leaf in leaves for note in leaf.notes) + result.notes,
        row_hashes=fingerprint.row_hashes,
    )


def _read(
    source: str,
    format: str | Format,
    split: str,
    drop_bad: bool,
    limit_rejections: int | None,
    fields: Mapping[str, str] | None,
) -> Dataset:
    stream = open_stream(source, format=format, split=split, fields=fields)
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
