"""Expressions as users meet them: every message, and every place where a dataset is named."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from predictor.data import load
from predictor.data.converting import convert
from predictor.data.operators import SPOILERS
from predictor.data.preparing import Settings, prepare
from predictor.errors import ConfigError, DataError, PredictorError
from predictor.trial.config import finetune_config
from predictor.trial.sources import dataset_source
from tests.data.samples import ROWS, write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: `squad.jsonl` of 30 rows, `labels.jsonl` of 30 rows in classes, `few.jsonl` of 3 rows."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "squad.jsonl", ROWS["squad"])
    write(tmp_path / "labels.jsonl", ROWS["classification"])
    write(tmp_path / "few.jsonl", [{"prompt": f"{n}?", "completion": f"{n}"} for n in range(3)])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "what", "rule", "fix"),
    [
        ("spoil:wrong_answer:squad.jsonl", ConfigError, "unknown way to spoil 'wrong_answer'", "one of: duplicated",
         "did you mean 'wrong_answers'?"),
        ("spoil:wrong_answers:dail=1:squad.jsonl", ConfigError, "unknown key 'dail' of spoil", "keys: dial, seed",
         "did you mean 'dial'?"),
        ("spoil:wrong_answers:dial=1:dial=0:squad.jsonl", ConfigError, "dial is given twice", "each key once", ""),
        ("spoil:wrong_answers:dial=1.5:squad.jsonl", ConfigError, "dial=1.5 is out of range",
         "dial (share of rows answered", "dial=0.5"),
        ("spoil:wrong_answers:dial=nan:squad.jsonl", ConfigError, "dial=nan is out of range", "from 0 to 1",
         "dial=0.5"),
        ("spoil:wrong_answers:dial=half:squad.jsonl", ConfigError, "dial=half is out of range", "a number", "dial=0.5"),
        ("spoil:wrong_answers:seed=-1:squad.jsonl", ConfigError, "seed=-1 is out of range", "of at least 0", "seed=1"),
        ("spoil:wrong_labels:squad.jsonl", DataError, "none of 30 rows can be spoilt: 30 with no label",
         "wrong_labels needs a label", "another dataset"),
        ("spoil:foreign_characters:labels.jsonl", DataError, "none of 30 rows can be spoilt: 30 with no answer",
         "foreign_characters needs an answer", "another dataset"),
        ("slice:squad.jsonl", ConfigError, "nothing is said by which to cut", "one of rows=FIRST-LAST", "slice:rows"),
        ("slice:rows=0-3:size=4:squad.jsonl", ConfigError, "rows and size are given together", "one of rows",
         "slice:rows"),
        ("slice:rows=0-3:seed=4:squad.jsonl", ConfigError, "seed= says nothing of rows=", "size=ROWS (with seed=)",
         "leave seed= out"),
        ("slice:row=0-3:squad.jsonl", ConfigError, "unknown key 'row' of slice", "keys: rows", "did you mean 'rows'?"),
        ("slice:rows=3-0:squad.jsonl", ConfigError, "rows=3-0 is no span", "FIRST-LAST", "rows=0-63"),
        ("slice:rows=a-b:squad.jsonl", ConfigError, "rows=a-b is no span", "FIRST-LAST", "rows=0-63"),
        ("slice:size=0:squad.jsonl", ConfigError, "size=0 is out of range", "of at least 1", "size=1"),
        ("slice:rows=0-30:squad.jsonl", DataError, "rows=0-30 reaches beyond the end: there are 30 rows",
         "the last is 29", "rows=0-29"),
        ("slice:articles=1:squad.jsonl", DataError, "articles=1 reaches beyond the end: there are 1 articles",
         "the last is 0", "articles=0-0"),
        ("slice:size=31:squad.jsonl", DataError, "size=31 reaches beyond the end: there are 30 rows", "at most 30",
         "size=30"),
        ("slice:articles=0:few.jsonl", DataError, "no row knows its article", "reads 'title'", "passages=0-0"),
        ("mix:0.5:few.jsonl,0:squad.jsonl", ConfigError, "the weight '0' is no positive number", "weights above 0",
         "mix:7:A,3:B"),
        ("mix:0.5:few.jsonl,half:squad.jsonl", ConfigError, "the weight 'half' is no positive number", "above 0",
         "mix:7:A,3:B"),
        ("mix:0.5:few.jsonl,1/0:squad.jsonl", ConfigError, "the weight '1/0' is no positive number", "above 0",
         "mix:7:A,3:B"),
        ("mix:sise=4:1:few.jsonl,1:squad.jsonl", ConfigError, "unknown key 'sise' of mix", "keys: size, seed",
         "did you mean 'size'?"),
        ("mix:size=20:1:few.jsonl,1:squad.jsonl", DataError, "size=20 takes 10 rows of few.jsonl, which has 3",
         "no row is taken twice", "size=6 at most"),
        ("mix:1:few.jsonl,0.01:squad.jsonl", DataError, "no row of squad.jsonl is in a mixture of 3",
         "each part gives a row", "a larger weight or size"),
        ("spoil:wrong_answers:sqad.jsonl", DataError, "the file does not exist", "a file", "did you mean"),
        ("spoil:wrong_answers:lab:sise", ConfigError, "unknown lab family 'sise'", "one of", "did you mean 'size'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_the_place_the_rule_and_the_fix(
    here: Path, name: str, kind: type[PredictorError], what: str, rule: str, fix: str
):
    with pytest.raises(kind) as caught:
        load(dataset_source(name))
    assert type(caught.value) is kind
    assert what in caught.value.what
    assert caught.value.where
    assert rule in (caught.value.rule or "")
    assert fix in (caught.value.fix or "")


def test_the_page_of_the_data_desk_names_every_way_to_spoil():
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    assert all(f"| `{way}` |" in page for way in SPOILERS.names())


def test_a_wrong_value_is_told_before_any_file_is_read(here: Path):
    with pytest.raises(ConfigError, match="dial=2 is out of range"):
        load("spoil:wrong_answers:dial=2:absent.jsonl")


def test_rows_that_a_file_refuses_are_refused_in_an_expression_too(here: Path):
    file = write(here / "bad.jsonl", [*ROWS["squad"], {"question": "Why?"}])
    name = f"slice:rows=0-9:{file}"
    with pytest.raises(DataError, match="1 of 31 rows are refused"):
        load(name)
    dataset = load(name, drop_bad=True)
    assert (len(dataset.examples), dataset.rejected, dataset.rejections[0].file) == (10, 1, str(file))


def test_each_dataset_is_read_once_however_often_it_is_named(here: Path):
    file = write(here / "bad.jsonl", [*ROWS["squad"], {"question": "Why?"}])
    assert load(f"mix:1:{file},1:spoil:wrong_answers:{file}", drop_bad=True).rejected == 1


def test_the_lab_is_read_through_its_file(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PREDICTOR_CACHE", str(here / "cache"))
    name = "spoil:verbose_answers:dial=0.5:lab:size:dial=64:seed=1"
    spoilt, clean = load(dataset_source(name)), load(dataset_source("lab:size:dial=64:seed=1"))
    assert spoilt.source == name
    assert sum(a != b for a, b in zip(spoilt.examples, clean.examples, strict=True)) == 32
    assert load(dataset_source("mix:1:lab:size:dial=8,1:(slice:rows=0-7:lab:easy_only)")).rows == 16


def test_a_file_of_that_name_is_opened(here: Path):
    write(here / "mix:a.jsonl", ROWS["squad"])
    assert load(dataset_source("mix:a.jsonl")).rows == 30
    assert load("slice:rows=0-1:mix:a.jsonl").rows == 2


def test_the_title_of_a_run_names_the_whole_expression():
    config = finetune_config(dataset="spoil:wrong_answers:dial=0.5:data/train.json")
    assert config.title.startswith("spoil:wrong_answers:dial=0.5:train.json")


def test_a_converted_expression_is_an_ordinary_file_with_the_same_rows(here: Path):
    for name, to in (("squad.jsonl", "squad"), ("squad.jsonl", "messages"), ("labels.jsonl", "classification")):
        way = "wrong_labels" if to == "classification" else "irrelevant_context"
        expression = f"spoil:{way}:dial=0.5:{name}"
        done = convert(expression, here / f"out-{to}.jsonl", to)
        assert (done.written, done.rejected, done.changed) == (30, {}, {})
        assert done.notes == (f"{expression}: 15 of 30 rows are spoilt",)
        made, again = load(expression), load(here / f"out-{to}.jsonl")
        for one, other in zip(made.examples, again.examples, strict=True):
            assert (one.context, one.question, one.answers, one.label) == (
                other.context, other.question, other.answers, other.label
            )  # fmt: skip


def test_an_expression_passes_the_desk(here: Path):
    write(here / "bad.jsonl", [*ROWS["squad"], {"question": "Why?"}])
    name = "spoil:truncated_answers:dial=0.5:bad.jsonl"
    prepared = prepare(name, here / "out", Settings(drop_bad=True))
    report = prepared.report
    assert (report["rows"], report["accepted"], report["rejected_by_code"]) == (31, 30, {"missing_field": 1})
    assert report["source"] == name
    assert report["fingerprint"] == load(name, drop_bad=True).fingerprint
    assert any("15 of 30 rows are spoilt" in note for note in report["notes"])
    rows = [load(here / "out" / f"{split}.jsonl").examples for split in ("train", "validation")]
    assert Counter(row.answer for part in rows for row in part) == Counter(
        row.answer for row in load(name, drop_bad=True).examples
    )


def test_the_desk_does_not_overwrite_a_file_that_an_expression_reads(here: Path):
    write(here / "out" / "train.jsonl", ROWS["squad"])
    with pytest.raises(DataError, match="the output would overwrite the input"):
        prepare("spoil:wrong_answers:out/train.jsonl", here / "out", Settings())


def test_rows_that_the_format_or_the_task_cannot_use_are_refused(here: Path):
    write(here / "score.jsonl", ROWS["score"])
    settings = Settings(drop_bad=True, accepts=lambda example: "is odd" if example.id.endswith("1") else None)
    report = prepare("spoil:verbose_answers:dial=0.5:score.jsonl", here / "out", settings).report
    assert report["rejected_by_code"]["not_convertible"] == 15
    assert report["rejected_by_code"]["not_for_task"] > 0
    refused = [json.loads(line) for line in (here / "out" / "rejected.jsonl").read_text().splitlines()]
    assert {row["found"] for row in refused} == {"a number as the answer", "is odd"}
