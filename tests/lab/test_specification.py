"""Dataset names and the ordinary files that they stand for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from predictor.data import load
from predictor.errors import ConfigError
from predictor.lab import FAMILIES, generate, materialise
from predictor.lab.specification import EVALUATION_ROWS, parse


def test_name_with_defaults_and_its_one_spelling() -> None:
    assert parse("lab:wrong_answers").text == "lab:wrong_answers:dial=0:size=512:seed=1"
    assert parse("lab:wrong_answers:seed=2:dial=0.30").text == "lab:wrong_answers:dial=0.3:size=512:seed=2"
    assert parse("lab:size:dial=64").text == "lab:size:dial=64:seed=1"


@pytest.mark.parametrize("name", FAMILIES.names())
def test_every_family_reads_back_through_the_ordinary_reader(name: str, tmp_path: Path) -> None:
    dial = 24 if name == "size" else FAMILIES.get(name).settings[-1]
    dataset = load(materialise(f"lab:{name}:dial={dial}:size=24:seed=4", tmp_path))
    expected = generate(name, dial, 24, 4)
    assert not dataset.rejections
    assert [(row.context, row.question, row.answers) for row in dataset.examples] == [
        (row.context, row.question, row.answers) for row in expected
    ]
    assert [row.answer_starts for row in dataset.examples] == [row.answer_starts for row in expected]


def test_files_are_written_once_with_the_same_bytes(tmp_path: Path) -> None:
    spec = "lab:size:dial=16:seed=2"
    path = materialise(spec, tmp_path / "a")
    stamp = path.stat().st_mtime_ns
    assert materialise(spec, tmp_path / "a").stat().st_mtime_ns == stamp
    assert materialise(spec, tmp_path / "b").read_bytes() == path.read_bytes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_default_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path))
    assert materialise("lab:size:dial=8").is_relative_to(tmp_path / "lab")
    monkeypatch.delenv("PREDICTOR_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert materialise("lab:size:dial=8").is_relative_to(tmp_path / "home" / ".cache" / "finetune-predictor" / "lab")


def test_evaluation_has_its_questions_with_answers_in_place(tmp_path: Path) -> None:
    path = materialise("lab:evaluation", tmp_path)
    paragraphs = json.loads(path.read_text(encoding="utf-8"))["data"][0]["paragraphs"]
    questions = [(paragraph["context"], qa) for paragraph in paragraphs for qa in paragraph["qas"]]
    assert len({qa["id"] for _, qa in questions}) == EVALUATION_ROWS >= 1000
    for context, qa in questions:
        answer = qa["answers"][0]
        assert context[answer["answer_start"] :].startswith(answer["text"])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lab:", "is not the name of a lab dataset"),
        ("lab:wrong_anwsers", "did you mean 'wrong_answers'"),
        ("lab:size:sead=1", "did you mean 'seed'"),
        ("lab:size:seed", "unknown parameter 'seed'"),
        ("lab:size:dial=many", "dial='many' is not a number"),
        ("lab:size:dial=8:seed=1.5", "seed='1.5' is not a whole number"),
        ("lab:wrong_answers:dial=2", "from 0 to 1"),
        ("lab:wrong_answers:size=0", "from 1 to 100000"),
    ],
)
def test_a_wrong_name_says_what_was_meant(spec: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        materialise(spec, tmp_path)
    assert message in str(caught.value)
