"""Damaged and hostile files: a clear message or a refused row, never a traceback."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from predictor.data import load, opening
from predictor.data.containers import json_document, json_lines
from predictor.errors import DataError
from tests.data.samples import ROWS, squad_document, write
from tests.data.samples import json_lines as lines_of

GOOD = lines_of(ROWS["prompt_completion"])
GERMAN = [{"prompt": f"Wie heißt die Straße über dem Fluß Nr. {n}?", "completion": "Brückenstraße"} for n in range(20)]
CHINESE = [{"prompt": f"第{n}条河上的桥叫什么名字？它是什么时候建成的？", "completion": "长江大桥"} for n in range(20)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_unicode_encodings_are_recoded(tmp_path: Path, encoding: str) -> None:
    for name in ("x.jsonl", "x.json", "x.csv"):
        if name.endswith("csv"):
            text = "prompt,completion\n" + "\n".join(f"{row['prompt']},{row['completion']}" for row in GERMAN)
        else:
            text = lines_of(GERMAN).decode() if name == "x.jsonl" else json.dumps(GERMAN, ensure_ascii=False)
        dataset = load(write(tmp_path / name, text.encode(encoding)))
        assert dataset.examples[3].question == GERMAN[3]["prompt"]
        assert bool(dataset.notes) == (encoding != "utf-8-sig")


@pytest.mark.parametrize(("rows", "encoding"), [(CHINESE, "gb18030"), (GERMAN, "cp1252")])
def test_older_encodings_are_detected_and_noted(tmp_path: Path, rows: list, encoding: str) -> None:
    dataset = load(write(tmp_path / "x.jsonl", lines_of(rows).decode().encode(encoding)))
    assert dataset.examples[3].question == rows[3]["prompt"]
    assert "not UTF-8; it was recoded" in dataset.notes[0]


def test_one_row_with_foreign_bytes_is_refused(tmp_path: Path) -> None:
    bad = '{"prompt": "Straße", "completion": "x"}\n'.encode("cp1252")
    dataset = load(write(tmp_path / "x.jsonl", lines_of(CHINESE) + bad), drop_bad=True)
    (refusal,) = dataset.rejections
    assert (refusal.code, refusal.row, refusal.found) == ("bad_encoding", "line 21", "byte 0xdf at column 17")
    with pytest.raises(DataError, match="bytes that are not UTF-8"):
        load(write(tmp_path / "x.json", json.dumps(CHINESE, ensure_ascii=False).encode()[:-3] + b'\xdf"}]'))


def test_crlf_and_blank_lines(tmp_path: Path) -> None:
    assert load(write(tmp_path / "x.jsonl", GOOD.replace(b"\n", b"\r\n\r\n"))).rows == 30
    assert load(write(tmp_path / "x.csv", "text,label\r\nall is well,a\r\nall is lost,b\r\n")).rows == 2


def test_truncated_json_lines_lose_one_row(tmp_path: Path) -> None:
    dataset = load(write(tmp_path / "x.jsonl", GOOD[:-10]), drop_bad=True)
    assert [(r.code, r.row) for r in dataset.rejections] == [("bad_json", "line 30")]
    assert dataset.rejections[0].content == GOOD[:-10].decode().split("\n")[-1]


def test_truncated_document_is_refused_whole(tmp_path: Path) -> None:
    text = json.dumps(ROWS["prompt_completion"], indent=1)
    with pytest.raises(DataError, match="breaks off before its end") as caught:
        load(write(tmp_path / "x.json", text[:-30]), drop_bad=True)
    assert "after 29 complete rows, behind [28]" in str(caught.value)


def test_malformed_document(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the JSON document is malformed"):
        load(write(tmp_path / "x.json", '[\n{"prompt": "a", "completion": "b"},\n{"prompt" "a"}\n]'))


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have(tmp_path: Path, literal: str) -> None:
    line = '{"prompt": "a", "completion": "b", "weight": %s}' % literal  # noqa: UP031 - braces are JSON's
    dataset = load(write(tmp_path / "x.jsonl", GOOD + line.encode()), drop_bad=True)
    assert [r.code for r in dataset.rejections] == ["not_finite"]
    if literal == "NaN":
        with pytest.raises(DataError, match="holds NaN or Infinity"):
            load(write(tmp_path / "x.json", f"[\n{line}\n]"))


def test_duplicate_keys(tmp_path: Path) -> None:
    line = '{"prompt": "a", "prompt": "b", "completion": "c"}'
    for name, text in (("x.jsonl", GOOD.decode() + line), ("x.json", f'[{{"prompt": "a", "completion": "b"}},{line}]')):
        (refusal,) = load(write(tmp_path / name, text), drop_bad=True).rejections
        assert (refusal.code, refusal.field) == ("duplicate_key", "prompt")
        assert refusal.content


@pytest.mark.parametrize("depth", [80, 900, 5000])
def test_deep_nesting(tmp_path: Path, depth: int) -> None:
    deep = '{"prompt": "a", "completion": "b", "x": %s1%s}' % ("[" * depth, "]" * depth)  # noqa: UP031
    for name, text in (("x.jsonl", GOOD.decode() + deep), ("x.json", f'[{{"prompt": "a", "completion": "b"}},{deep}]')):
        (refusal,) = load(write(tmp_path / name, text), drop_bad=True).rejections
        assert refusal.code == "too_deep"
    with pytest.raises(DataError, match="at most 64 lists around a row"):
        load(write(tmp_path / "y.json", "[" * depth + "1" + "]" * depth))


def test_null_bytes_and_lone_surrogates(tmp_path: Path) -> None:
    lines = [
        b'{"prompt": "a\x00", "completion": "b"}',
        b'{"prompt": "a\\u0000", "completion": "b"}',
        b'{"prompt": "a\\ud800", "completion": "b"}',
        b'{"prompt": "a", "completion": "b", "x": "\\ud800"}',
        b'{"prompt": "a", "completion": "b", "id": "\\ud800"}',
    ]
    dataset = load(write(tmp_path / "x.jsonl", GOOD + b"\n".join(lines)), drop_bad=True)
    assert [r.code for r in dataset.rejections] == ["bad_json", "null_character", *["bad_unicode"] * 3]


def test_a_line_that_is_too_long_is_skipped_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "MAX_ROW", 1000)
    monkeypatch.setattr(json_document, "MAX_ROW", 1000)
    long = json.dumps({"prompt": "a" * 5000, "completion": "b"})
    dataset = load(write(tmp_path / "x.jsonl", long.encode() + b"\n" + GOOD), drop_bad=True)
    assert [(r.code, r.row, r.found) for r in dataset.rejections] == [("too_long", "line 1", f"{len(long) + 1} bytes")]
    assert dataset.rows == 31
    dataset = load(write(tmp_path / "x.json", f'[{long},{{"prompt": "a", "completion": "b"}}]'), drop_bad=True)
    assert [r.code for r in dataset.rejections] == ["too_long"]


def test_a_document_on_one_long_line_is_streamed(tmp_path: Path) -> None:
    document = squad_document(articles=1, paragraphs=2)
    document["data"][0]["paragraphs"][0]["context"] += " padding" * 300_000
    assert load(write(tmp_path / "x.json", document)).rows == 4


def test_gzip_damage_and_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(GOOD * 50)
    with pytest.raises(DataError, match="the gzip file is damaged"):
        load(write(tmp_path / "x.jsonl", packed[: len(packed) // 2]))
    monkeypatch.setattr(opening, "BOMB_BYTES", 1 << 20)
    with pytest.raises(DataError, match="unpacks to more than 200 times its size"):
        load(write(tmp_path / "bomb.jsonl", gzip.compress(b"[" + b" " * (20 << 20))))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n\n ", "holds only white space"),
        (b"[]", "no row can be used: no rows at all"),
        (b"PK\x03\x04rest", "the file is a zip archive"),
        (b"\x80\x04\x95\x00\x00", "the file is a Python pickle"),
        (bytes(range(256)) * 20, "the file is not text"),
        (b"Once upon a time.", "neither JSON nor delimited text"),
        (b"PAR1 and nothing else", "the parquet file is damaged"),
        (b"text,text,label\na,b,c\n", "names the column 'text' twice"),
    ],
)
def test_files_that_hold_no_rows(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(write(tmp_path / "x.data", content), drop_bad=True)
    assert str(tmp_path) in str(caught.value)


def test_tables_with_uneven_rows(tmp_path: Path) -> None:
    text = 'text,label\nall is well,a\nall is lost\nall, is, said,b\n"quoted, twice",b\nx\0y,a\n'
    dataset = load(write(tmp_path / "x.csv", text), drop_bad=True)
    assert [(r.code, r.row) for r in dataset.rejections] == [
        ("column_count", "line 3"),
        ("column_count", "line 4"),
        ("null_character", "line 6"),
    ]
    assert dataset.examples[1].text == "quoted, twice"


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    with pytest.raises(DataError, match="a symbolic link that leads back to itself"):
        load(loop)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="holds no data files; it holds nothing"):
        load(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(DataError, match="a device or pipe"):
        load(tmp_path / "pipe.json")
