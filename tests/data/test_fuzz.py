"""Damaged files: never an uncaught exception, never a hang, and the rows always add up.

`PREDICTOR_FUZZ_CASES` sets the number of cases, `PREDICTOR_FUZZ_SEED` the first seed.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from predictor.data import load
from predictor.data.preparing import Settings, prepare
from predictor.errors import PredictorError
from tests.data.mutation import damaged_file

CASES = int(os.environ.get("PREDICTOR_FUZZ_CASES", "400"))
FIRST = int(os.environ.get("PREDICTOR_FUZZ_SEED", "0"))
PREPARED_EVERY = 25
PATIENCE_SECONDS = 60


@contextmanager
def no_hang() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"no result after {PATIENCE_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def lines(path: Path) -> int:
    return sum(1 for line in path.read_text(encoding="utf-8").split("\n") if line) if path.exists() else 0


def lines_held(path: Path) -> int:
    """Lines that hold something, as far as the file is plain text; a line may hold several rows in a list."""
    held = [line for line in path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    try:
        return len(held) if isinstance(json.loads(held[0].decode()), dict) else 0
    except (ValueError, RecursionError, IndexError):
        return 0  # packed, in another character set, one document, or damaged at the start


def check(path: Path, seed: int) -> bool:
    """Whether the file could be used; raises AssertionError when the rows do not add up."""
    try:
        dataset = load(path, drop_bad=True)
    except PredictorError:
        return False
    assert dataset.examples
    assert dataset.rows == len(dataset.examples) + len(dataset.rejections)
    assert dataset.rejected == len(dataset.rejections)
    assert len({example.id for example in dataset.examples}) == len(dataset.examples)
    if path.suffix == ".jsonl" and dataset.format != "squad":
        assert dataset.rows >= lines_held(path)
    if seed % PREPARED_EVERY == 0:
        output = path.parent / "out"
        report = prepare(path, output, Settings(drop_bad=True)).report
        written = {name: lines(output / name) for name in report["outputs"]}
        assert written == report["outputs"]
        assert sum(written.values()) == report["accepted"] == len(dataset.examples)
        assert lines(output / "rejected.jsonl") == report["rejected"] == dataset.rejected
        assert json.loads((output / "report.json").read_text())["rows"] == dataset.rows
    return True


def test_damaged_files_give_a_dataset_or_a_clear_error(tmp_path: Path) -> None:
    used = 0
    for seed in range(FIRST, FIRST + CASES):
        path = damaged_file(tmp_path, seed)
        try:
            with no_hang():
                used += check(path, seed)
        except Exception as error:
            pytest.fail(f"case {seed} ({path.name}): {type(error).__name__}: {error}")
        path.unlink()
    assert CASES // 5 < used < CASES, "the mutations are too wild or too tame to test anything"
