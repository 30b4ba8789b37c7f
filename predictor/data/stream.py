"""The rows of a source, read once and in bounded memory, each accepted or refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from predictor.data.containers.sniff import open_rows
from predictor.data.detect import SAMPLE, detect
from predictor.data.example import Example
from predictor.data.fingerprint import Fingerprint
from predictor.data.formats.base import Format, Outcome
from predictor.data.record import Record
from predictor.data.rejection import CODES, Rejection
from predictor.data.sources import TRAIN, DataFile, local_files, part_of
from predictor.errors import DataError

Accepts = Callable[[Example], str | None]
"""None when a task can use the example, otherwise what it lacks."""


class Stream:
    """The rows of local files of one split, read once, in bounded memory.

    Attributes:
        format, format_reason: the dataset format and why it was chosen, known before the first row is asked for.
        accepted, rejected: rows so far; `codes` counts the refused ones.
        notes: remarks so far.
    """

    def __init__(
        self,
        files: list[DataFile],
        source: str,
        wanted: str | Format = "auto",
        accepts: Accepts | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self.source = source
        self._fields = fields or {}
        self._accepts = accepts
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
            raise nothing_usable(source, [entry for entry in head if isinstance(entry, Rejection)])
        self.format, guess = detect(sample, wanted, source)
        self.format_reason = guess.reason
        self._convert = guess.read
        self._head = head

    def _read(self, files: list[DataFile]) -> Iterator[Record | Rejection]:
        number = 0
        for file in files:
            _, rows = open_rows(file.path, file.name, self._note, file.class_names)
            several = len(files) > 1
            part = part_of(file.path, several)
            for row in rows:
                if (several or part or self._fields) and isinstance(row, Record):
                    number += 1
                    value = _renamed(row.value, self._fields)
                    row = row._replace(value=value, number=number if several else row.number, part=part)
                yield row

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def __iter__(self) -> Iterator[tuple[Outcome, str]]:
        """Each row with its row hash; the hash of a refused row is empty."""
        head, self._head = self._head, []
        for entries in (head, self._records):
            for entry in entries:
                if isinstance(entry, Rejection):
                    yield self._refusal(entry)
                    continue
                try:
                    for outcome in self._convert(entry):
                        yield self._judged(outcome, entry)
                except RecursionError:
                    yield self._refusal(Rejection("too_deep", entry.file, entry.row, "", "fewer levels", "more", None))
        if self._repeated_ids:
            self._note(f"{self._repeated_ids} rows repeat the id of an earlier row; a number was added to their ids")

    def _judged(self, outcome: Outcome, record: Record) -> tuple[Outcome, str]:
        """The outcome of a format, unless the task, or a character that no file can hold, speaks against it."""
        if isinstance(outcome, Rejection):
            return self._refusal(outcome)
        lack = self._accepts(outcome) if self._accepts is not None else None
        if lack is not None:
            return self._refusal(record.refuse("not_for_task", "", "a row that the task can use", lack))
        example = self._with_unique_id(outcome)
        try:
            example.id.encode()
            digits = self.fingerprint.add(example)
        except UnicodeEncodeError:
            return self._refusal(record.refuse("bad_unicode", "", "text", "a lone surrogate"))
        except ValueError:
            return self._refusal(record.refuse("null_character", "", "text", "a null character"))
        self.accepted += 1
        return example, digits

    def turn_down(self, rejection: Rejection) -> None:
        """Count a row that was accepted here, but refused by who reads the stream."""
        self.accepted -= 1
        self._refusal(rejection)

    def _refusal(self, rejection: Rejection) -> tuple[Rejection, str]:
        self.rejected += 1
        self.codes[rejection.code] += 1
        return rejection, ""

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


def _renamed(value: object, fields: Mapping[str, str]) -> object:
    """A raw row under the names that formats know; one that has such a name already gives way."""
    if not fields or not isinstance(value, dict):
        return value
    given = {new for old, new in fields.items() if old in value}
    return {fields.get(name, name): each for name, each in value.items() if name in fields or name not in given}


def source_files(source: str | Path) -> list[DataFile]:
    """The local files of a source by split; a hub dataset is downloaded first."""
    files = local_files(source)
    if files is None:
        from predictor.data.hub import hub_files

        files = hub_files(str(source))
    return files


def open_stream(
    source: str | Path,
    *,
    format: str | Format = "auto",
    split: str = TRAIN,
    fields: Mapping[str, str] | None = None,
) -> Stream:
    """The rows of one split of a source as a stream. Errors as `load`.

    Args:
        fields: name of a field in the files → the name by which formats know it.
    """
    files = source_files(source)
    chosen = [file for file in files if file.split == split]
    held = list(dict.fromkeys(file.split for file in files))
    if not chosen:
        raise DataError(
            f"the source has no {split} split",
            where=str(source),
            rule=f"splits found: {', '.join(held)}",
            fix="name the file itself",
        )
    stream = Stream(chosen, str(source), format, fields=fields)
    if len(held) > 1:
        others = ", ".join(name for name in held if name != split)
        stream.notes.append(f"only the {split} split was read; the source also holds {others}")
    return stream


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


def nothing_usable(source: str, rejections: list[Rejection], stream: Stream | None = None) -> DataError:
    """The error of a source without a usable row; its stream also counted refusals that were not kept."""
    counts = stream.codes if stream is not None else Counter(rejection.code for rejection in rejections)
    found = ", ".join(f"{count} {code}" for code, count in counts.most_common()) or "no rows at all"
    first = f"; first {rejections[0].describe()}" if rejections else ""
    return DataError(
        f"no row can be used: {found}{first}",
        where=source,
        rule="at least one row in a known format",
        fix="see what the first refused row lacks",
    )
