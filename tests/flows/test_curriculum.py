"""A plan of stages on a tiny base: killed in a stage it goes on to the same bits; the same rows in no order beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from benchmarks.tiny import qa_rows, write_squad
from predictor.errors import ConfigError, DataError
from predictor.finetune.watch import Watch
from predictor.flows.curriculum import CurriculumConfig, curriculum
from predictor.flows.finetune import finetune
from predictor.schema import keys
from predictor.tracking import read_records
from predictor.trial.config import config_of
from tests.conftest import open_store

pytestmark = pytest.mark.usefixtures("one_thread")


def write_plan(folder: Path, base: Path, **more: object) -> str:
    ratings = [
        {"prompt": "Rate it.", "company_info": text, "score": 1 + n % 5}
        for n, (text, *_) in enumerate(qa_rows(8, start=60))
    ]
    (folder / "growth.json").write_text(json.dumps(ratings))
    (folder / "growth_eval.json").write_text(
        json.dumps([{**row, "company_info": f"{row['company_info']} !"} for row in ratings])
    )
    facts = [
        str(write_squad(folder / f"{n}.json", qa_rows(8, start=s))) for n, s in (("facts", 0), ("facts_eval", 200))
    ]
    plan = {
        "base_model": str(base),
        "tasks": {
            "facts": {"task": "qa", "dataset": facts[0], "eval_dataset": facts[1]},
            "growth": {
                "task": "scoring", "dataset": str(folder / "growth.json"),
                "eval_dataset": str(folder / "growth_eval.json"),
                "scoring": {"low": 1, "high": 5},
            },
        },
        "stages": [
            {"name": "facts", "tasks": ["facts"], "data_ratio": 0.5},
            {"name": "all", "epochs": 2, "hp": {"learning_rate": 1.0e-2}},
        ],
        "hp": {"learning_rate": 5.0e-3, "batch_size": 4, "epochs": 1}, "optimizer": "kept", "control": True,
        "tiers": "static", "eval_limit": 0, "dev_limit": 0, "checkpoint_steps": 2, **more,
    }  # fmt: skip
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    return str(folder / "plan.yaml")


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def course(empty_store: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory):
    """The plan, killed after the fifth step of its second stage, and started again."""
    folder = tmp_path_factory.mktemp("course")
    with pytest.MonkeyPatch.context() as patch:
        uri = open_store(empty_store, folder, patch)
        plan = write_plan(folder, tiny_base)
        usual, seen = Watch.on_log, []

        def cut(self, args, state, control, logs=None, **kwargs):
            usual(self, args, state, control, logs, **kwargs)
            if logs and "loss" in logs and state.max_steps == 8:
                seen.append(state.global_step)
                if len(seen) == 5:
                    raise Killed

        patch.setattr(Watch, "on_log", cut)
        with pytest.raises(Killed):
            curriculum(CurriculumConfig(config=plan), experiment="e", tracking_uri=uri)
        result = curriculum(CurriculumConfig(config=plan), experiment="e", tracking_uri=uri)
        yield folder, uri, plan, result, seen


def test_it_goes_on_in_its_stage_to_the_very_bits_of_an_undisturbed_one(course, monkeypatch: pytest.MonkeyPatch):
    folder, uri, _, result, seen = course
    assert seen[4:7] == [5, 5, 6]  # from the checkpoint of the fourth step
    monkeypatch.chdir(folder)
    [second] = [chain[1] for (kind, _), chain in result.outcome.found.items() if kind == "curriculum"]
    client = MlflowClient(uri)
    load = lambda run_id, file: Path(client.download_artifacts(run_id, file)).read_bytes()  # noqa: E731
    config = config_of(json.loads(load(second.run_id, "config.json")))
    assert (Path(config.model.start_from) / "optimizer.safetensors").is_file()
    alone = finetune(config.replace(checkpoint_steps=0), experiment="alone", tracking_uri=uri)
    for file in ("adapter/adapter_model.safetensors", "adapter/optimizer.safetensors"):
        assert load(alone.run_id, file) == load(second.run_id, file)
    assert load(result.run_id, "adapter/adapter_model.safetensors") == load(
        second.run_id, "adapter/adapter_model.safetensors"
    )
    assert repr(sorted(alone.scores.items())) == repr(sorted(second.scores.items()))


def test_each_stage_is_a_run_scored_on_every_task_and_the_first_was_not_made_again(course):
    _, uri, _, result, _ = course
    records = [r for r in read_records(["e"], tracking_uri=uri) if r.complete]
    assert len(records) == 4
    for record in records:
        assert {"overall", "exact_match/facts", "closeness/growth"} <= set(record.scores)
        assert record.task == "several"
    # A ridge has something to learn where the stage has rows that are rated.
    assert sorted("floor_mae/growth" in record.scores for record in records) == [False, True, True, True]
    ordered, control = (result.outcome.found[kind, 1] for kind in ("curriculum", "control"))
    assert [r.costs["train_steps"] for r in ordered] == [r.costs["train_steps"] for r in control] == [1.0, 8.0]
    assert ordered[0].base_model_digest != ordered[1].base_model_digest  # it goes on from other weights
    assert set(ordered[0].row_sketch) < set(ordered[1].row_sketch)
    run = MlflowClient(uri).get_run(result.run_id)
    assert run.data.tags[keys.TAG_KIND] == keys.KIND_CURRICULUM
    assert "curriculum/difference" in run.data.metrics
    assert "one seed" in result.outcome.verdict.words
    assert {a.path for a in MlflowClient(uri).list_artifacts(result.run_id)} == {
        "adapter", "plan.yaml", "stages.json", "stages.png",
    }  # fmt: skip
    assert any("one seed" in line for line in result.outcome.lines())


def test_what_is_wrong_is_told_before_a_run_is_made(course, tiny_base: Path, tmp_path: Path):
    _, uri, *_ = course
    before = len(read_records(None, kind=None, tracking_uri=uri))
    rows = [{"prompt": "Rate it.", "company_info": "Firm.", "score": 9}]
    plan = write_plan(tmp_path, tiny_base)
    (tmp_path / "growth.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match="1 scores lie outside 1 to 5, the first is 9"):
        curriculum(CurriculumConfig(config=plan), experiment="e", tracking_uri=uri)
    (tmp_path / "growth.json").write_text(json.dumps([{**rows[0], "score": "good"}]))
    with pytest.raises(DataError, match="no row can be used: 1 bad_score"):
        curriculum(CurriculumConfig(config=plan), experiment="e", tracking_uri=uri)
    with pytest.raises(ConfigError, match="control='perhaps' is unknown"):
        curriculum(CurriculumConfig(config=plan, control="perhaps"), experiment="e", tracking_uri=uri)
    assert len(read_records(None, kind=None, tracking_uri=uri)) == before


def test_a_dry_run_says_the_stages_and_trains_nothing(course):
    _, uri, plan, *_ = course
    result = curriculum(CurriculumConfig(config=plan, dry_run=True), experiment="dry", tracking_uri=uri)
    assert [stage.split(":")[0] for stage in result.stages] == [
        "curriculum 1/2 facts s1", "curriculum 2/2 all s1", "control 1/2 facts s1", "control 2/2 all s1",
    ]  # fmt: skip
    assert result.outcome is None
    assert len(read_records(["dry"], tracking_uri=uri)) == 0
