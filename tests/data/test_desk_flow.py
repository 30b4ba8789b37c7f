"""prepare and convert as a user meets them: one MLflow run, artifacts, messages, exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from entrypoints import _cli, convert, prepare
from predictor.data import load
from predictor.errors import ConfigError, DataError, ModelError
from predictor.flows.convert import ConvertConfig
from predictor.flows.convert import convert as convert_flow
from predictor.flows.prepare import PrepareConfig
from predictor.flows.prepare import prepare as prepare_flow
from tests.data.samples import ROWS, write

BAD = {"prompt": "Why?"}


def runs(store: str) -> list:
    from mlflow import MlflowClient

    client = MlflowClient(store)
    return client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])


def test_prepare_is_one_run_with_its_report(tmp_path: Path, store: str) -> None:
    from mlflow import MlflowClient

    source = write(tmp_path / "in.jsonl", ROWS["messages"])
    prepare_flow(PrepareConfig(input=str(source), output=str(tmp_path / "out"), task="qa"))
    (run,) = runs(store)
    assert run.info.status == "FINISHED"
    assert run.data.tags["predictor.kind"] == "prepare"
    assert run.data.tags["predictor.dataset_fingerprint"] == load(source).fingerprint
    assert run.data.metrics == {"data/rows": 30, "data/accepted": 30, "data/rejected": 0}
    artifacts = {entry.path for entry in MlflowClient(store).list_artifacts(run.info.run_id)}
    assert artifacts == {"report.json", "report.html", "rejected.jsonl", "train.jsonl", "validation.jsonl"}


def test_prepare_ends_failed_with_the_report_when_rows_are_refused(
    tmp_path: Path, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "in.jsonl", [*ROWS["prompt_completion"], BAD])
    arguments = ["--input", str(source), "--output", str(tmp_path / "out"), "--preflight", "false"]
    assert _cli.main(prepare.CONFIG, prepare.run, arguments) == 1
    message = capsys.readouterr().err
    assert "1 of 31 rows are refused: 1 missing_field" in message
    assert "line 31, field 'completion'" in message
    (run,) = runs(store)
    assert run.info.status == "FAILED"
    assert "missing_field" in run.data.tags["predictor.failure"]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["rejected"] == 1
    assert _cli.main(prepare.CONFIG, prepare.run, [*arguments, "--drop_bad", "true"]) == 0
    printed = capsys.readouterr().out
    assert "31 = 30 accepted + 1 refused" in printed
    assert "refused   1 missing_field" in printed


def test_prepare_measures_with_the_tokenizer_of_a_base_model(tmp_path: Path, store: str, tiny_base: Path) -> None:
    source = write(tmp_path / "in.jsonl", ROWS["messages"])
    options = {"input": str(source), "output": str(tmp_path / "out"), "base_model": str(tiny_base), "task": "qa"}
    with pytest.raises(DataError, match="wholly masked"):
        prepare_flow(PrepareConfig(**options, max_length=2))
    report = prepare_flow(PrepareConfig(**options, max_length=4096)).report
    assert report["preflight"]["tokens"]["total"]["rows"] == 30
    assert report["preflight"]["tokens"]["refused_by_template"] == 0


def test_prepare_finds_overlap_with_the_evaluation_data(tmp_path: Path, store: str) -> None:
    source = write(tmp_path / "in.jsonl", ROWS["messages"])
    evaluation = write(tmp_path / "eval.jsonl", ROWS["messages"][:3])
    with pytest.raises(DataError, match="rows ask what the evaluation set asks"):
        prepare_flow(PrepareConfig(input=str(source), output=str(tmp_path / "out"), eval_dataset=str(evaluation)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ConfigError, "no dataset was named"),
        ({"input": "IN", "max_length": 64}, ConfigError, "max_length=64 without a base model"),
        ({"input": "IN", "base_model": "nowhere/at-all"}, ModelError, "'nowhere/at-all' is not in the local cache"),
        ({"input": "IN", "task": "quiz"}, ConfigError, "unknown task 'quiz'"),
        ({"input": "IN", "file_type": "csv"}, ConfigError, "file_type='csv' is unknown"),
        ({"input": "IN", "validation_fraction": 1.0}, ConfigError, "validation_fraction=1 is out of range"),
    ],
)
def test_prepare_refuses_what_it_cannot_do(
    tmp_path: Path, store: str, options: dict, error: type[Exception], message: str
) -> None:
    source = write(tmp_path / "in.jsonl", ROWS["messages"])
    given = {key: str(source) if value == "IN" else value for key, value in options.items()}
    with pytest.raises(error, match=message):
        prepare_flow(PrepareConfig(**given, output=str(tmp_path / "out")))


def test_convert_prints_what_was_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"context": "A red fox.", "question": "What?", "answers": ["fox", "a fox"]}]
    source = write(tmp_path / "in.jsonl", rows)
    arguments = ["--input", str(source), "--output", str(tmp_path / "out.jsonl"), "--to", "alpaca"]
    assert _cli.main(convert.CONFIG, convert.run, arguments) == 0
    assert "changed   answers in 1 rows: alpaca has no place for all of it" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="no output was named"):
        convert_flow(ConvertConfig(input=str(source)))
