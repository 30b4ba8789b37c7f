"""Writing without half-written results: a file appears under its name only when it is complete."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from predictor.data.example import Example
from predictor.data.formats.squad import Squad
from predictor.errors import DataError
from predictor.files import whole_file


@contextmanager
def written_whole(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A file to write to, which becomes `path` at the end (see `predictor.files.whole_file`); it is on the disk then.

    Raises:
        DataError: the folder cannot be written, or the disk is full.
    """
    as_text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n", "errors": "backslashreplace"}
    try:
        with whole_file(path, mode, durable=True, **as_text) as file:
            yield file
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> DataError:
    """The error of a file that cannot be written; a full disk is called one."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return DataError(
        "the disk is full" if full else f"the file cannot be written: {error.strerror or error}",
        where=str(path),
        rule="a folder that can be written, with room for the output",
        fix="free some space or choose another output folder" if full else "choose another output folder",
    )


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """One JSON object, indented, whole or not at all."""
    with written_whole(path) as file:
        json.dump(value, file, ensure_ascii=False, indent=2, allow_nan=False)
        file.write("\n")


def write_squad(examples: Iterable[Example], path: str | Path) -> None:
    """The examples as one SQuAD document (v2.0 when a question is unanswerable), whole or not at all.

    Raises:
        DataError: an example has no context or no question, or the file cannot be written.
    """
    squad, rows = Squad(), list(examples)
    for example in rows:
        if lack := squad.lacks(example):
            raise DataError(
                f"example '{example.id}' cannot be written as SQuAD", where=str(path), rule=f"SQuAD needs {lack}",
                fix="write it as messages",
            )  # fmt: skip
    with written_whole(Path(path)) as file:
        json.dump(squad.document(rows), file, ensure_ascii=False)
        file.write("\n")
