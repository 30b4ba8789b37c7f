"""Outputs are whole or not there; conversion is exact where both formats can hold the content."""

from __future__ import annotations

import errno
import gc
import json
import os
import sys
from pathlib import Path

import pytest

from predictor.data import Example, load, write_squad
from predictor.data.converting import convert
from predictor.data.detect import FORMATS
from predictor.data.rows import write_rows
from predictor.data.writing import written_whole
from predictor.errors import ConfigError, DataError
from tests.data.samples import ROWS, squad_document, write


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_every_format_survives_every_kind_of_file(tmp_path: Path, name: str, suffix: str) -> None:
    source = write(tmp_path / "source.jsonl", ROWS[name])
    done = convert(source, tmp_path / f"out{suffix}", name)
    before, after = load(source), load(tmp_path / f"out{suffix}")
    assert done.changed == {}
    assert (done.written, after.format) == (30, name)
    assert after.examples == before.examples
    assert after.fingerprint == before.fingerprint


@pytest.mark.parametrize(
    ("name", "through"),
    [
        ("messages", "sharegpt"),
        ("sharegpt", "messages"),
        ("prompt_completion", "messages"),
        ("messages", "prompt_completion"),
        ("prompt_completion", "sharegpt"),
        ("prompt_completion", "alpaca"),
    ],
)
def test_there_and_back(tmp_path: Path, name: str, through: str) -> None:
    source = write(tmp_path / "source.jsonl", ROWS[name])
    convert(source, tmp_path / "there.jsonl", through)
    convert(tmp_path / "there.jsonl", tmp_path / "back.jsonl", name)
    before, after = load(source).examples, load(tmp_path / "back.jsonl").examples
    assert [(e.id, e.context, e.question, e.answers) for e in before] == [
        (e.id, e.context, e.question, e.answers) for e in after if name == "prompt_completion" or e.messages
    ] or [(e.id, e.messages, e.answers, e.extra) for e in before] == [
        (e.id, e.messages, e.answers, e.extra) for e in after
    ]


def test_squad_document_round_trip(tmp_path: Path) -> None:
    before = load(write(tmp_path / "a.json", squad_document()))
    convert(tmp_path / "a.json", tmp_path / "flat.parquet", "squad")
    convert(tmp_path / "flat.parquet", tmp_path / "b.json", "squad")
    written = json.loads((tmp_path / "b.json").read_text())
    assert written["version"] == "v2.0"
    assert load(tmp_path / "b.json").examples == before.examples


def test_classification_as_a_table(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", ROWS["classification"])
    for suffix in (".csv", ".tsv"):
        convert(source, tmp_path / f"b{suffix}", "classification")
        assert load(tmp_path / f"b{suffix}").examples == load(source).examples


def test_references_and_offsets_survive_chat_formats(tmp_path: Path) -> None:
    answers = {"text": ["fox", "a fox"], "answer_start": [6, 4]}
    rows = [{"id": "1", "title": "Fox", "context": " A a fox.", "question": " What? ", "answers": answers}]
    source = write(tmp_path / "a.jsonl", rows)
    for through in ("messages", "sharegpt"):
        assert convert(source, tmp_path / "b.jsonl", through).changed == {}
        convert(tmp_path / "b.jsonl", tmp_path / "c.jsonl", "squad")
        (before,), (after,) = load(source).examples, load(tmp_path / "c.jsonl").examples
        assert before == after


def test_conversion_says_what_is_lost(tmp_path: Path) -> None:
    answers = {"text": ["fox", "a fox"], "answer_start": [6, -1]}
    rows = [{"context": "A red fox.", "question": "What?", "answers": answers}]
    done = convert(write(tmp_path / "a.jsonl", rows * 3), tmp_path / "b.jsonl", "alpaca")
    assert done.changed == {"answers": 3}


def test_rows_that_the_target_cannot_hold(tmp_path: Path) -> None:
    source = write(tmp_path / "a.json", squad_document())
    with pytest.raises(DataError, match="12 of 24 rows are refused: 12 not_convertible"):
        convert(source, tmp_path / "b.jsonl", "messages")
    assert not (tmp_path / "b.jsonl").exists()
    done = convert(source, tmp_path / "b.jsonl", "messages", drop_bad=True)
    assert (done.written, done.rejected) == (12, {"not_convertible": 12})
    with pytest.raises(DataError, match="no row can be used: 24 not_convertible"):
        convert(source, tmp_path / "c.jsonl", "classification", drop_bad=True)


def test_unknown_target_and_suffix(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", ROWS["messages"])
    with pytest.raises(ConfigError, match="unknown dataset format 'mesages'"):
        convert(source, tmp_path / "b.jsonl", "mesages")
    with pytest.raises(DataError, match="no file can be written with the suffix"):
        convert(source, tmp_path / "b.xlsx", "messages")


def test_rows_that_a_kind_of_file_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    afterwards: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda fault: afterwards.append(fault.exc_value))
    with pytest.raises(DataError, match="cannot be a line of a table"):
        write_rows(tmp_path / "a.csv", [{"id": "1", "x": [1]}])
    with pytest.raises(DataError, match="do not fit the columns of one Parquet file"):
        write_rows(tmp_path / "a.parquet", [{"x": 1}, {"x": "a"}])
    with pytest.raises(DataError, match="have no column y"):
        write_rows(tmp_path / "a.parquet", [{"x": 1}] * 3000 + [{"y": 1}])
    assert list(tmp_path.iterdir()) == []
    gc.collect()
    assert afterwards == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = load(write(tmp_path / "a.json", squad_document())).examples
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(DataError, match="the disk is full") as caught:
        write_squad(examples, tmp_path / "b.json")
    assert "free some space" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_error_while_writing_keeps_the_earlier_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "before")
    with pytest.raises(RuntimeError), written_whole(path) as file:
        file.write("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    blocked = write(tmp_path / "file", "x") / "below.txt"
    with pytest.raises(DataError, match="the file cannot be written"), written_whole(blocked):
        pass


def test_write_squad_names_the_example_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="example '7' cannot be written as SQuAD"):
        write_squad([Example(id="7", question="Why?", answers=("x",))], tmp_path / "b.json")


def test_every_format_says_what_it_lacks() -> None:
    empty = Example(id="1")
    assert all(entry.lacks(empty) for _, entry in FORMATS)
