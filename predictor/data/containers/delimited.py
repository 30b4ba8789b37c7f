"""Delimited text (CSV, TSV, semicolons): one row of named cells each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from predictor.data.containers.values import MAX_ROW
from predictor.data.record import Record
from predictor.data.rejection import Rejection
from predictor.errors import DataError

DELIMITERS = (",", "\t", ";", "|")


def choose_delimiter(head: str, suffix: str) -> str | None:
    """The delimiter that splits the first lines into the same number (at least two) of cells; None when none does."""
    lines = [line for line in head.splitlines() if line.strip()][:20]
    if not lines:
        return None
    order = ("\t", ",", ";", "|") if suffix == ".tsv" else DELIMITERS
    counts = {delimiter: [len(cells) for cells in csv.reader(lines, delimiter=delimiter)] for delimiter in order}
    best = max(order, key=lambda delimiter: (_steadiness(counts[delimiter]), -order.index(delimiter)))
    if _steadiness(counts[best]) >= 0.5:
        return best
    return {".csv": ",", ".tsv": "\t"}.get(suffix)


def _steadiness(cells: list[int]) -> float:
    """Share of lines with as many cells as the first, which must have two or more."""
    return sum(count == cells[0] for count in cells) / len(cells) if cells and cells[0] > 1 else 0.0


def read_delimited(file: io.BufferedReader, name: str, delimiter: str) -> Iterator[Record | Rejection]:
    """The rows as objects of text cells under the names of the header.

    A file whose first row does not look like a header (a number, an empty, long or repeated cell) gets the names
    `column_1`, `column_2`, …
    """
    csv.field_size_limit(MAX_ROW)
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    header: list[str] = []
    number = start = 0
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            code = "null_character" if "NUL" in str(error) else "too_long"
            yield Rejection(code, name, f"line {start}", "", "delimited text", str(error)[:80], None)
            continue
        if not cells or not any(cell.strip() for cell in cells):
            continue
        if not header:
            header, is_data = _header(cells, name)
            if not is_data:
                continue
        number += 1
        yield _row(cells, header, name, start, number, delimiter)


def _row(cells: list[str], header: list[str], name: str, line: int, number: int, delimiter: str) -> Record | Rejection:
    where, content = f"line {line}", delimiter.join(cells)
    try:
        content.encode()
    except UnicodeEncodeError:
        content = content.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return Rejection("bad_encoding", name, where, "", "UTF-8 text", "other bytes", content)
    if "\0" in content:
        return Rejection("null_character", name, where, "", "text", "a null character", content)
    if len(cells) != len(header):
        return Rejection("column_count", name, where, "", f"{len(header)} cells", f"{len(cells)}", content)
    row: dict[str, Any] = dict(zip(header, cells, strict=True))
    return Record(row, name, where, number)


def _header(cells: list[str], name: str) -> tuple[list[str], bool]:
    """The column names, and whether the first row is itself a data row."""
    names = [cell.strip() for cell in cells]
    if any(not cell or len(cell) > 40 or _is_number(cell) for cell in names):
        return [f"column_{index}" for index in range(1, len(cells) + 1)], True
    if len(set(names)) != len(names):
        double = next(cell for cell in names if names.count(cell) > 1)
        raise DataError(
            f"the header names the column '{double}' twice", where=f"{name}, line 1", rule="each column name once",
            fix="rename one of the columns",
        )  # fmt: skip
    return names, False


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
