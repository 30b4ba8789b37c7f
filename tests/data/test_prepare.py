"""The desk as a whole: data, refused rows, report and page, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from predictor.data import load
from predictor.data.preflight import Preflight, Thresholds
from predictor.data.preparing import Settings, prepare
from predictor.errors import DataError
from tests.data.samples import ROWS, json_lines, squad_document, write

BAD = [{"prompt": "Why?"}, {"prompt": "", "completion": "x"}]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("name", ROWS)
def test_prepared_data_load_as_the_source_did(tmp_path: Path, name: str, suffix: str) -> None:
    source = write(tmp_path / "in.jsonl", ROWS[name])
    prepared = prepare(source, tmp_path / "out", Settings(suffix=suffix), Preflight())
    report = prepared.report
    assert prepared.faults == ()
    assert (report["format"], report["rows"], report["accepted"], report["rejected"]) == (name, 30, 30, 0)
    assert names(tmp_path / "out") == {
        f"train{suffix}",
        f"validation{suffix}",
        "rejected.jsonl",
        "report.json",
        "report.html",
    }
    parts = [load(tmp_path / "out" / f"{part}{suffix}").examples for part in ("train", "validation")]
    assert sorted((e for part in parts for e in part), key=lambda e: int(e.id.strip("q"))) == sorted(
        load(source).examples, key=lambda e: int(e.id.strip("q"))
    )
    assert load(tmp_path / "out").examples == parts[0], "a prepared folder is a source"
    assert json.loads((tmp_path / "out" / "report.json").read_text())["complete"] is True


def test_refused_rows_are_kept_and_stop_the_data(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", [*ROWS["prompt_completion"], *BAD])
    prepared = prepare(source, tmp_path / "out", Settings(), Preflight())
    assert prepared.faults == ("2 of 32 rows are refused: 1 missing_field, 1 empty_prompt",)
    assert names(tmp_path / "out") == {"rejected.jsonl", "report.json", "report.html"}
    kept = lines(tmp_path / "out" / "rejected.jsonl")
    assert [(row["code"], row["row"], row["content"]) for row in kept] == [
        ("missing_field", "line 31", BAD[0]),
        ("empty_prompt", "line 32", BAD[1]),
    ]
    assert "Not ready for training" in (tmp_path / "out" / "report.html").read_text()
    prepared = prepare(source, tmp_path / "out", Settings(drop_bad=True), Preflight())
    assert prepared.faults == ()
    assert prepared.report["rejected_by_code"] == {"missing_field": 1, "empty_prompt": 1}
    assert sum(prepared.report["outputs"].values()) == 30


def test_failing_preflight_takes_earlier_data_away(tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", ROWS["prompt_completion"] * 3)
    assert (
        prepare(source, tmp_path / "out", Settings(thresholds=Thresholds(max_duplicates=0.9)), Preflight()).faults == ()
    )
    prepared = prepare(source, tmp_path / "out", Settings(), Preflight())
    assert prepared.faults == ("66.7% of the rows repeat an earlier row (at most 50.0%: max_duplicates)",)
    assert names(tmp_path / "out") == {"rejected.jsonl", "report.json", "report.html"}


def test_splits_of_the_source_are_kept(tmp_path: Path) -> None:
    rows = ROWS["classification"]
    for split, part in (("train", rows[:20]), ("dev", rows[20:26]), ("test", [*rows[26:], {"text": "no label"}])):
        write(tmp_path / "in" / "data" / f"{split}.json", part)
    report = prepare(tmp_path / "in", tmp_path / "out", Settings(drop_bad=True)).report
    assert report["outputs"] == {"train.jsonl": 20, "validation.jsonl": 6, "test.jsonl": 4}
    assert (report["rows"], report["accepted"], report["rejected"]) == (31, 30, 1)
    assert lines(tmp_path / "out" / "rejected.jsonl")[0]["split"] == "test"


def test_validation_split_takes_whole_passages(tmp_path: Path) -> None:
    source = write(tmp_path / "in.json", squad_document(articles=5, paragraphs=4))
    prepare(source, tmp_path / "out", Settings(validation_fraction=0.3), Preflight())
    train, validation = (load(tmp_path / "out" / f"{part}.jsonl").examples for part in ("train", "validation"))
    assert len(train) + len(validation) == 40
    assert 0.2 <= len(validation) / 40 <= 0.4
    assert not {example.group for example in train} & {example.group for example in validation}


def test_rows_that_the_task_cannot_use(tmp_path: Path) -> None:
    from predictor.tasks import TASKS

    rows = [*ROWS["messages"], {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "x"}]}]
    settings = Settings(drop_bad=True, accepts=TASKS.get("qa").accepts)
    report = prepare(write(tmp_path / "in.jsonl", rows), tmp_path / "out", settings).report
    assert report["rejected_by_code"] == {"not_for_task": 1}


def test_keys_that_no_file_can_hold_are_reported(tmp_path: Path) -> None:
    line = b'{"prompt": "a", "compl\\ud800": "b"}'
    source = write(tmp_path / "in.jsonl", json_lines(ROWS["prompt_completion"]) + line)
    report = prepare(source, tmp_path / "out", Settings(drop_bad=True)).report
    assert "compl\\ud800" in report["first_rejections"][0]
    assert lines(tmp_path / "out" / "rejected.jsonl")[0]["content"] == {"prompt": "a", "compl\ud800": "b"}


def test_a_full_disk_leaves_nothing_that_looks_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "in.jsonl", ROWS["messages"])

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match="the disk is full"):
        prepare(source, tmp_path / "out", Settings())
    assert names(tmp_path) == {"in.jsonl"}


def test_a_damaged_source_leaves_the_earlier_result(tmp_path: Path) -> None:
    source = write(tmp_path / "in.json", ROWS["messages"])
    prepare(source, tmp_path / "out", Settings())
    before = names(tmp_path / "out")
    write(source, source.read_bytes()[:-40])
    with pytest.raises(DataError, match="breaks off before its end"):
        prepare(source, tmp_path / "out", Settings(drop_bad=True))
    assert names(tmp_path / "out") == before
    assert names(tmp_path) == {"in.json", "out"}


def test_output_that_would_overwrite_the_input(tmp_path: Path) -> None:
    source = write(tmp_path / "train.jsonl", ROWS["messages"])
    with pytest.raises(DataError, match="would overwrite the input"):
        prepare(source, tmp_path, Settings())
    assert source.exists()
    with pytest.raises(DataError, match="the output is a file"):
        prepare(source, write(tmp_path / "x", "x"), Settings())


def test_page_escapes_what_the_data_hold(tmp_path: Path) -> None:
    rows = [
        {"text": f"<script>alert({n})</script> is the text", "label": "<b>$x$</b>" if n % 2 else "b"} for n in range(8)
    ]
    prepare(write(tmp_path / "in.jsonl", rows), tmp_path / "out", Settings(), Preflight())
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "<b>$x$" not in page
    assert page.count("<svg") >= 3
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://creativecommons", "").replace(
        "http://purl", ""
    )
