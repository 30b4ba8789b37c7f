"""Converting a dataset to another format, and saying what the other format could not hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.config import Expression
from predictor.data.detect import FORMATS
from predictor.data.example import Example
from predictor.data.formats.base import Format, Outcome
from predictor.data.formats.squad import Squad
from predictor.data.held import open_any
from predictor.data.record import Record
from predictor.data.rejection import Rejection
from predictor.data.rows import kind_of, write_rows
from predictor.data.stream import nothing_usable, refused
from predictor.data.writing import written_whole

_COMPARED = ("id", "answers", "context", "question", "text", "label", "messages", "answer_starts", "extra")


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Attributes:
        source_format, format: read from, and written.
        written: rows in the output. rejected: rows that were refused, by code.
        changed: field of an Example → rows in which it is not the same when the output is read again. Empty when the
            conversion is exact.
        notes: what was noted while reading, or making, the source.
    """

    source_format: str
    format: str
    written: int
    rejected: dict[str, int]
    changed: dict[str, int]
    notes: tuple[str, ...] = ()


def convert(
    source: str | Path | Expression,
    output: str | Path,
    to: str,
    *,
    format: str = "auto",
    drop_bad: bool = False,
) -> Conversion:
    """Write a dataset in another format; the suffix of `output` chooses JSON Lines, JSON, Parquet, CSV or TSV.

    SQuAD in a `.json` file is the nested document of SQuAD, in other files flat rows.

    Raises:
        ConfigError: `to` is no format.
        DataError: as `load`; or a row holds what the target format has no place for, while `drop_bad` is false.
    """
    target = FORMATS.get(to, where="-P to")
    path = Path(output)
    kind = kind_of(path)
    stream = open_any(source, format)
    work = _Work(target)
    examples = work.convertible(stream)
    if isinstance(target, Squad) and kind == "json":
        _write_document(path, target, examples, work, lambda: _check(work, stream, str(source), drop_bad))
    else:
        rows = work.compared(examples)
        write_rows(path, _then(rows, lambda: _check(work, stream, str(source), drop_bad)))
    return Conversion(
        stream.format, to, work.written, dict(work.codes.most_common()), dict(work.changed), tuple(stream.notes)
    )


def _check(work: _Work, stream: Any, source: str, drop_bad: bool) -> None:
    """Stop before the output appears under its name when rows are refused."""
    if not work.written:
        raise nothing_usable(source, work.first, stream)
    if work.codes and not drop_bad:
        raise refused(stream, work.first)


def _then(rows: Iterator[dict[str, Any]], check: Callable[[], None]) -> Iterator[dict[str, Any]]:
    yield from rows
    check()


def _write_document(
    path: Path, squad: Squad, examples: Iterator[Example], work: _Work, check: Callable[[], None]
) -> None:
    kept = list(examples)
    for _ in work.compared(iter(kept)):
        pass
    check()
    with written_whole(path) as file:
        json.dump(squad.document(kept), file, ensure_ascii=False, allow_nan=False)
        file.write("\n")


class _Work:
    def __init__(self, target: Format) -> None:
        self._target = target
        self._read: Callable[[Record], Iterable[Outcome]] | None = None
        self.written = 0
        self.codes: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.first: list[Rejection] = []

    def convertible(self, stream: Any) -> Iterator[Example]:
        """The examples that the target can hold; the others are counted as refused."""
        for outcome, _ in stream:
            if isinstance(outcome, Example):
                lack = self._target.lacks(outcome)
                if lack is None:
                    yield outcome
                    continue
                outcome = Rejection(
                    "not_convertible", str(stream.source), f"id {outcome.id}", "", lack, "none", {"id": outcome.id}
                )
                stream.turn_down(outcome)
            self.codes[outcome.code] += 1
            if len(self.first) < 3:
                self.first.append(outcome)

    def compared(self, examples: Iterator[Example]) -> Iterator[dict[str, Any]]:
        """The rows of the target format, each read again and compared with its example."""
        for example in examples:
            for row in self._target.rows((example,)):
                self.written += 1
                self._compare(example, row)
                yield row

    def _compare(self, example: Example, row: dict[str, Any]) -> None:
        if self._read is None:
            guess = self._target.detect([row])
            if guess is None:
                self.changed["unreadable"] += 1
                return
            self._read = guess.read
        again = next(iter(self._read(Record(row, "", "", 0))))
        if isinstance(again, Rejection):
            self.changed["unreadable"] += 1
            return
        for name in _COMPARED:
            before = getattr(example, name)
            # A field that the row did not have may be filled (a prompt in parts gets its one turn): nothing is lost.
            if before and getattr(again, name) != before:
                self.changed[name] += 1
