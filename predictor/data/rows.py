"""Writing rows of one format as JSON Lines, a JSON list, Parquet, CSV or TSV, in bounded memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from predictor.data.writing import written_whole
from predictor.errors import DataError

KINDS: Mapping[str, str] = {
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".json": "json",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
}
_BATCH = 2048

encode_row = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(", ", ": ")).encode
"""One row as one line of JSON, without its line break."""


def kind_of(path: Path) -> str:
    """The kind of file that a name asks for; raises DataError for an unknown suffix."""
    try:
        return KINDS[path.suffix.lower()]
    except KeyError:
        raise DataError(
            f"no file can be written with the suffix '{path.suffix}'",
            where=str(path),
            rule=f"one of {', '.join(KINDS)}",
            fix="name the output DATASET.jsonl",
        ) from None


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows to a file of the kind that its name asks for, whole or not at all; returns how many.

    Raises:
        DataError: the kind cannot hold a row (a nested value in CSV, mixed types in Parquet), or writing fails.
    """
    kind = kind_of(path)
    counted = _Counted(rows)
    writer: Callable[[Path, Iterator[Mapping[str, Any]]], None] = {
        "json lines": _json_lines,
        "json": _json_list,
        "parquet": _parquet,
        "csv": lambda target, source: _delimited(target, source, ","),
        "tsv": lambda target, source: _delimited(target, source, "\t"),
    }[kind]
    writer(path, iter(counted))
    return counted.count


class _Counted:
    def __init__(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        for row in self._rows:
            self.count += 1
            yield row


def _json_lines(path: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    with written_whole(path) as file:
        for row in rows:
            file.write(encode_row(row) + "\n")


def _json_list(path: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    with written_whole(path) as file:
        separator = "[\n"
        for row in rows:
            file.write(separator + encode_row(row))
            separator = ",\n"
        file.write("\n]\n" if separator == ",\n" else "[]\n")


def _delimited(path: Path, rows: Iterator[Mapping[str, Any]], delimiter: str) -> None:
    first = next(rows, None)
    with written_whole(path) as file:
        if first is None:
            return
        columns = list(first)
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns)
        for row in _chain(first, rows):
            if list(row) != columns or any(isinstance(cell, (dict, list)) or cell is None for cell in row.values()):
                raise DataError(
                    f"the row '{row.get('id', '')}' cannot be a line of a table",
                    where=str(path),
                    rule=f"one text or number under each of {', '.join(columns)}",
                    fix="write .jsonl instead",
                )
            writer.writerow(row.values())


def _parquet(path: Path, rows: Iterator[Mapping[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # The writer is closed before its file, after a fault too; left to itself it would write to the closed file later.
    with written_whole(path, "wb") as file, _arrow_faults(path), ExitStack() as opened:
        writer = None
        while batch := list(islice(rows, _BATCH)):
            # The first batch fixes the columns; a later row that does not fit them is an error, never cut.
            table = pa.Table.from_pylist(batch, schema=writer.schema if writer else _schema(batch))
            if writer is None:
                writer = opened.enter_context(pq.ParquetWriter(file, table.schema, compression="zstd"))
            unknown = {key for row in batch for key in row} - set(writer.schema.names)
            if unknown:
                raise pa.ArrowInvalid(f"the first {_BATCH} rows have no column {', '.join(sorted(unknown))}")
            writer.write_table(table)


def _schema(batch: list[Mapping[str, Any]]) -> Any:
    import pyarrow as pa

    names = dict.fromkeys(key for row in batch for key in row)
    return pa.schema([(name, pa.array([row.get(name) for row in batch]).type) for name in names])


@contextmanager
def _arrow_faults(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"the rows do not fit the columns of one Parquet file: {' '.join(str(error).split())[:200]}",
            where=str(path),
            rule="each column of one type in all rows",
            fix="write .jsonl instead",
        ) from None


def _chain(first: Mapping[str, Any], rest: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    yield first
    yield from rest
