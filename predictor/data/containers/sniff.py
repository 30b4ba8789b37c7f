"""Which container a file is, told by its content; the file name only breaks ties."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from predictor.data.containers.columnar import columnar_kind, read_columnar
from predictor.data.containers.delimited import choose_delimiter, read_delimited
from predictor.data.containers.json_document import read_json_document
from predictor.data.containers.json_lines import read_json_lines
from predictor.data.opening import PEEK, check_file, open_binary, open_text
from predictor.data.record import Record
from predictor.data.rejection import Rejection
from predictor.errors import DataError

LINE_SUFFIXES = (".jsonl", ".ndjson")
_SAMPLE_LINES = 20


def open_rows(
    path: Path, name: str, note: Callable[[str], None], class_names: Mapping[str, list[str]] | None = None
) -> tuple[str, Iterator[Record | Rejection]]:
    """The container's name and the raw rows of one local file, read as they are asked for.

    Args:
        name: the file's name in messages.
        note: receives what the user should know although no row is refused for it.
        class_names: column → class names, for Arrow files whose features are kept beside them.

    Raises:
        DataError: the file is missing, empty, damaged, or neither JSON, delimited text, Parquet nor Arrow.
    """
    check_file(path)
    with open_binary(path) as file:
        columnar = columnar_kind(file.peek(8)[:8])
    if columnar:
        return columnar, read_columnar(path, columnar, name, class_names)
    with open_text(path, note) as file:
        head = file.peek(PEEK)[:PEEK]
        complete = len(head) < PEEK
    kind, delimiter = _kind(head, complete, _suffix(path), name)
    return kind, _rows(path, name, note, kind, delimiter)


def _rows(
    path: Path, name: str, note: Callable[[str], None], kind: str, delimiter: str
) -> Iterator[Record | Rejection]:
    with open_text(path, lambda _: None) as file:
        if kind == "json lines":
            yield from read_json_lines(file, name)
        elif kind == "json":
            yield from read_json_document(file, name, note)
        else:
            yield from read_delimited(file, name, delimiter)


def _suffix(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return suffixes[-1] if suffixes else ""


def _kind(head: bytes, complete: bool, suffix: str, name: str) -> tuple[str, str]:
    text = head.decode("utf-8", "replace")
    lines = [line for line in text.split("\n") if line.strip()][: _SAMPLE_LINES + 1]
    if not lines:
        raise DataError("the file holds only white space", where=name, rule="at least one row")
    if not complete or len(lines) > _SAMPLE_LINES:
        lines = lines[:-1] or lines  # the last line of the sample may be cut
    whole = sum(_is_json(line) for line in lines)
    first = text.lstrip()[:1]
    if suffix in LINE_SUFFIXES and (first not in "[{" or whole or len(lines) == 1):
        return "json lines", ""
    if first in ("{", "["):
        if len(lines) > 1 and whole * 2 >= len(lines) and _is_json(lines[0], containers=True):
            return "json lines", ""
        if len(lines) > 1 and first == "{" and sum(_is_json(line, containers=True) for line in lines) * 2 > len(lines):
            return "json lines", ""
        return "json", ""
    if len(lines) > 1 and sum(_is_json(line, containers=True) for line in lines) * 2 >= len(lines):
        return "json lines", ""
    delimiter = choose_delimiter("\n".join(lines), suffix)
    if delimiter and suffix != ".json":
        return "delimited", delimiter
    raise DataError(
        f"the file is neither JSON nor delimited text; it begins with {text.lstrip()[:40]!r}",
        where=name,
        rule="JSON, JSON Lines, CSV, TSV, Parquet or Arrow, plain or in gzip",
        fix="give a file of rows with named fields",
    )


def _is_json(line: str, containers: bool = False) -> bool:
    line = line.strip()
    if containers and line[:1] not in ("{", "["):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
