"""Models that give scores answer files as their runs did: greedy scores and expected values, by dimension."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from predictor.errors import DataError, ModelError
from predictor.flows.finetune import finetune
from predictor.flows.generate import GenerateConfig, generate
from predictor.flows.merge import MergeConfig, merge
from predictor.models import generate as generating
from predictor.progress import SILENT
from predictor.serving import answering, rating
from predictor.serving.opening import weights_of_run
from predictor.serving.rows import read_rated, scoring_of
from predictor.tasks.scoring import Scoring
from predictor.tracking.tuned import fetch_tuned
from predictor.trial.config import finetune_config
from tests.conftest import open_store
from tests.tasks.test_scoring import rated

pytestmark = pytest.mark.usefixtures("one_thread")

DIMENSIONS = ("growth", "novelty")


def rows_of(count: int, start: int = 0, *, scored: bool = True) -> list[dict[str, Any]]:
    scores = [{"score": 1 + number % 3} if scored else {} for number in range(start, start + count)]
    return [
        {
            "id": f"r{start + n}",
            "prompt": "Rate it.",
            "company_info": f"Firm {start + n} has {1 + (start + n) % 3}.",
            **s,
        }
        for n, s in enumerate(scores)
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ratings")
    for split, count, start in (("train", 24, 0), ("eval", 6, 100)):
        (folder / "set" / split).mkdir(parents=True)
        for shift, name in enumerate(DIMENSIONS):
            rows = [{**row, "id": f"{name}-{row['id']}"} for row in rows_of(count, start + shift)]
            (folder / "set" / split / f"{name}.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module")
def runs(empty_store: Path, place: Path, tiny_base: Path) -> Iterator[dict[str, str]]:
    """A short fine-tune that asks for one dimension at a time, and one that asks for both together."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        open_store(empty_store, place, monkeypatch)
        made = {}
        for name, together in (("single", False), ("joint", True)):
            config = finetune_config(
                task="scoring", dataset=str(place / "set" / "train"), eval_dataset=str(place / "set" / "eval"),
                base_model=str(tiny_base), scoring_together=together, tiers="static", dev_limit=0, epochs=12,
                learning_rate=1e-2, batch_size=8,
            )  # fmt: skip
            made[name] = finetune(config).run_id
        yield made


def artifact(run: str, name: str) -> Any:
    return json.loads(Path(MlflowClient().download_artifacts(run, name)).read_text())


def answers(model: str, source: Path, output: Path, **more: Any) -> list[dict[str, Any]]:
    generate(GenerateConfig(model=model, input=str(source), output=str(output), **more))
    return [json.loads(line) for line in output.read_text().splitlines()]


@pytest.mark.parametrize("name", ["single", "joint"])
def test_scores_are_those_that_the_run_recorded_whatever_the_batch(
    runs: dict[str, str], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    run, eval_set = runs[name], place / "set" / "eval"
    account, table = artifact(run, "account.json"), artifact(run, "predictions.json")
    said = [row[table["columns"].index("answer")] for row in table["data"]]
    folder = Path(shutil.copytree(fetch_tuned(run).folder, tmp_path / "adapter"))
    merge(MergeConfig(run_id=run, output=str(tmp_path / "merged"), prompt_limit=4))

    def check(rows: list[dict[str, Any]], near: float) -> None:
        assert [row["answer"] for row in rows] == said
        for dimension in DIMENSIONS:
            known = account["dimensions"][dimension]
            for column, kind in (("given", "given"), ("score", "greedy"), ("expected", "expected")):
                held = [row[f"{column}/{dimension}"] for row in rows if row[f"expected/{dimension}"] is not None]
                assert held == pytest.approx(known[kind], abs=near)

    # What is in a split's folder is read by its files, as in the fine-tune.
    rows = answers(run, eval_set, tmp_path / "run.jsonl")
    check(rows, 1e-6)
    assert len(rows) == (12 if name == "single" else 7), "joint rows of one firm are one"
    assert name == "joint" or any(row["score/growth"] is not None for row in rows)
    real = generating.generate
    monkeypatch.setattr(rating, "generate", lambda *a, **k: real(*a, **{**k, "batch_rows": 1}))
    check(answers(str(folder), eval_set, tmp_path / "folder.jsonl"), 1e-4)
    check(answers(str(tmp_path / "merged"), eval_set, tmp_path / "merged.jsonl"), 1e-3)


def test_figures_are_those_of_the_run_where_every_row_has_its_scores(
    runs: dict[str, str], place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    from entrypoints.generate import run

    config = GenerateConfig(model=runs["joint"], input=str(place / "set" / "eval"), output=str(tmp_path / "out.csv"))
    run(config, SILENT)
    scores = MlflowClient().get_run(runs["joint"]).data.metrics
    said = capsys.readouterr().out
    assert f"closeness {scores['score/closeness']:.4f} over 7 rows" in said
    assert "parse_rate " in said
    with (tmp_path / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows[0]["given/novelty"] == "", "the firm that has no score of this dimension"


def test_rows_without_scores_are_asked_for_their_dimension_or_for_all(
    runs: dict[str, str], place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    rows = [
        {**rows_of(1, 0, scored=False)[0]},
        {**rows_of(1, 1, scored=False)[0], "dimension": "growth"},
        {"prompt": "Rate it.", "company_info": "Firm.", "dimension": "beauty"},
        {"prompt": "Rate it.", "company_info": "Firm.", "score": "good", "dimension": "novelty"},
        {"company_info": "Firm."},
        {"prompt": "Rate it. " * 100, "company_info": "Firm."},
        {"prompt": "Rate it.", "company_info": "Firm 100 has 2.", "score": {"growth": 2, "novelty": 3}},
    ]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prompts: list[int] = []
    real = generating.generate

    def counted(model: Any, tokenizer: Any, asked: Any, **more: Any) -> Any:
        prompts.append(len(asked))
        return real(model, tokenizer, asked, **{**more, "batch_rows": 2})

    monkeypatch.setattr(rating, "generate", counted)
    found = {name: answers(runs[name], source, tmp_path / f"{name}.jsonl") for name in runs}
    # One dimension at a time: two prompts for the first row; joint: one prompt for every row.
    assert prompts == [2 + 1 + 1 + 1, 4]
    for name, made in found.items():
        assert [row["id"] for row in made] == ["r0", "r1", "4", "7"]
        assert [row["given/growth"] for row in made] == [None, None, None, 2]
        assert None not in (made[0]["expected/growth"], made[0]["expected/novelty"]), name
        assert (made[1]["expected/novelty"] is None) == (name == "single")
    assert found["single"][0]["answer"].count("\n\n") == 1
    refused = [json.loads(line) for line in (tmp_path / "single_rejected.jsonl").read_text().splitlines()]
    told = {row["row"]: (row["code"], row["found"]) for row in refused}
    assert told["id 3"] == ("not_for_task", "the row asks for beauty")
    assert told["id 6"][0] == "over_max_length"
    assert sorted(row["code"] for row in refused) == ["missing_field", "not_for_task", "over_max_length"]
    # After a break only the rest is scored.
    whole, add = found["single"], answering.Part.add

    def cut(self: answering.Part, said: Any) -> None:
        add(self, said)
        if said:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(answering.Part, "add", cut)
        answers(runs["single"], source, tmp_path / "again.jsonl")
    again = answers(runs["single"], source, tmp_path / "again.jsonl")
    # What shares a batch may move the last bits of a likelihood.
    for row, before in zip(again, whole, strict=True):
        assert row == {name: pytest.approx(v) if name.startswith("expected/") else v for name, v in before.items()}
    assert prompts[-1] < prompts[-2] == 5


def test_the_scale_is_found_again_in_the_rows_of_an_earlier_version(runs: dict[str, str], place: Path, tmp_path: Path):
    known = weights_of_run(runs["joint"], fetch_tuned)
    bare = dataclasses.replace(known, origin=dataclasses.replace(known.origin, task_settings={}, task_found={}))
    assert scoring_of(bare).found() == scoring_of(known).found() == known.origin.task_found
    alone = dataclasses.replace(bare, config={})
    with pytest.raises(ModelError, match=r"the scale that the model gives scores on is not known[\s\S]*task=chat"):
        scoring_of(alone)


def test_a_score_without_a_dimension_is_of_the_only_one_and_nothing_to_rate_is_said(tmp_path: Path):
    task, *_ = Scoring().fitted([rated(1, 1, "growth"), rated(2, 4, "growth")], [])
    assert task.given(rated(3, 2)) == {"growth": 2.0}
    several, *_ = Scoring().fitted([rated(1, 1, "growth"), rated(2, 4, "novelty")], [])
    assert several.given(rated(3, 2)) == {}
    assert [list(part.extra["scores"]) for part in several.asked_of(rated(3, 2))] == [["growth"], ["novelty"]]
    (tmp_path / "in.jsonl").write_text('{"prompt": " ", "company_info": "x"}\n')
    with pytest.raises(DataError, match="none of the 1 rows holds a prompt; first line 1, field 'prompt'"):
        read_rated(str(tmp_path / "in.jsonl"), task)
    (tmp_path / "in.txt").write_text("Rate this firm.\n")
    [row] = read_rated(str(tmp_path / "in.txt"), task)
    assert row.turns[0].content.startswith("Rate this firm.\n\nRate Growth from 1 to 4 in this form:\nScore: ...")
