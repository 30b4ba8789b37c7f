"""Reading a source: a stream of Examples and Rejections, or the whole dataset in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from predictor.data.containers.sniff import open_rows
from predictor.data.detect import SAMPLE, detect
from predictor.data.example import Example
from predictor.data.fingerprint import Fingerprint
from predictor.data.formats.base import Outcome
from predictor.data.record import Record
from predictor.data.rejection import CODES, Rejection
from predictor.data.sources import TRAIN, DataFile, local_files
from predictor.errors import DataError


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory.

    Attributes:
        examples: the accepted rows in the order of the file, ids unique.
        source: what was asked for.
        format: the dataset format (`squad`, `messages`, …).
        format_reason: why this format was chosen.
        fingerprint: 16 hex digits over the content of the accepted rows, their ids left out.
        row_sketch: at most 512 row hashes (10 hex digits each), sorted; see `shares_rows`.
        rejections: the refused rows, at most as many as were asked to be kept.
        rejected: the number of refused rows.
        notes: what the user should know although no row is refused for it.
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

    @property
    def rows(self) -> int:
        """Rows of the source: accepted and refused."""
        return len(self.examples) + self.rejected


class Stream:
    """The rows of local files of one split, read once, in bounded memory.

    Attributes:
        format, format_reason: as in `Dataset`, known before the first row is asked for.
        accepted, rejected: rows so far; `codes` counts the refused ones.
        notes: remarks so far.
    """

    def __init__(self, files: list[DataFile], source: str, wanted: str = "auto") -> None:
        self.source = source
        self.accepted = self.rejected = 0
        self.codes: Counter[str] = Counter()
        self.notes: list[str] = []
        self.fingerprint = Fingerprint()
        self._ids: set[int] = set()
        self._repeated_ids = 0
        self._records = self._read(files)
        head = list(islice(self._records, SAMPLE))
        sample = [entry.value for entry in head if isinstance(entry, Record)]
        if not sample:
            # Rows may follow behind a damaged beginning; without one parsed row there is nothing to guess from.
            for entry in self._records:
                head.append(entry)
                if isinstance(entry, Record):
                    sample.append(entry.value)
                    break
                if len(head) > 100_000:
                    break
        if not sample:
            raise _nothing(source, [entry for entry in head if isinstance(entry, Rejection)])
        self.format, guess = detect(sample, wanted, source)
        self.format_reason = guess.reason
        self._convert = guess.read
        self._head = head

    def _read(self, files: list[DataFile]) -> Iterator[Record | Rejection]:
        number = 0
        for file in files:
            _, rows = open_rows(file.path, file.name, self._note, file.class_names)
            for row in rows:
                if len(files) > 1 and isinstance(row, Record):
                    number += 1
                    row = row._replace(number=number)
                yield row

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def __iter__(self) -> Iterator[tuple[Outcome, str]]:
        """Each row with its row hash; the hash of a refused row is empty."""
        convert, add = self._convert, self.fingerprint.add
        head, self._head = self._head, []
        for entries in (head, self._records):
            for entry in entries:
                outcomes = (entry,) if isinstance(entry, Rejection) else self._converted(convert, entry)
                for outcome in outcomes:
                    if isinstance(outcome, Example):
                        outcome = self._with_unique_id(outcome)
                        try:
                            digits = add(outcome)
                        except UnicodeEncodeError:
                            outcome = _surrogate(entry)  # type: ignore[arg-type]
                        else:
                            self.accepted += 1
                            yield outcome, digits
                            continue
                    self.rejected += 1
                    self.codes[outcome.code] += 1
                    yield outcome, ""
        if self._repeated_ids:
            self._note(f"{self._repeated_ids} rows repeat the id of an earlier row; a number was added to their ids")

    @staticmethod
    def _converted(convert: Callable[[Record], Iterable[Outcome]], record: Record) -> Iterator[Outcome]:
        try:
            yield from convert(record)
        except RecursionError:
            yield Rejection("too_deep", record.file, record.row, "", "fewer levels", "more", None)

    def _with_unique_id(self, example: Example) -> Example:
        key = hash(example.id)
        if key not in self._ids:
            self._ids.add(key)
            return example
        self._repeated_ids += 1
        number = 2
        while hash(f"{example.id}#{number}") in self._ids:
            number += 1
        self._ids.add(hash(f"{example.id}#{number}"))
        return replace(example, id=f"{example.id}#{number}")


def _surrogate(record: Record) -> Rejection:
    return Rejection("bad_unicode", record.file, record.row, "", "text", "a lone surrogate", record.value)


def open_stream(source: str | Path, *, format: str = "auto", split: str = TRAIN) -> Stream:
    """The rows of one split of a source as a stream. Errors as `load`."""
    files = local_files(source)
    if files is None:
        from predictor.data.hub import hub_files

        files = hub_files(str(source))
    chosen = [file for file in files if file.split == split]
    held = list(dict.fromkeys(file.split for file in files))
    if not chosen:
        raise DataError(
            f"the source has no {split} split", where=str(source), rule=f"splits found: {', '.join(held)}",
            fix="name the file itself",
        )  # fmt: skip
    stream = Stream(chosen, str(source), format)
    if len(held) > 1:
        stream.notes.append(f"only the {split} split was read; the source also holds {', '.join(held[1:])}")
    return stream


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
        raise _nothing(str(source), rejections, stream)
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
    )


def refused(stream: Stream, first: list[Rejection]) -> DataError:
    """The error that sums up the refused rows of a finished stream."""
    counts = ", ".join(f"{count} {code}" for code, count in stream.codes.most_common())
    rules = "; ".join(f"{code}: {CODES[code]}" for code in stream.codes)
    rows = stream.accepted + stream.rejected
    named = "; ".join(rejection.describe() for rejection in first[:3])
    return DataError(
        f"{stream.rejected} of {rows} rows are refused: {counts}",
        where=f"{stream.source}, first {named}",
        rule=rules,
        fix="mend the rows, or go on without them: drop_bad=true; `prepare` keeps each refused row in rejected.jsonl",
    )


def _nothing(source: str, rejections: list[Rejection], stream: Stream | None = None) -> DataError:
    counts = stream.codes if stream is not None else Counter(rejection.code for rejection in rejections)
    found = ", ".join(f"{count} {code}" for code, count in counts.most_common()) or "no rows at all"
    first = f"; first {rejections[0].describe()}" if rejections else ""
    return DataError(
        f"no row can be used: {found}{first}",
        where=source,
        rule="at least one row in a known format",
        fix="see what the first refused row lacks",
    )
