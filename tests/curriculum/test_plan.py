"""A plan of stages is checked whole before anything runs, and says which rows each stage has."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tiny import qa_rows, write_squad
from predictor.curriculum.plan import read_course
from predictor.curriculum.shares import Sampling, rows_of_tasks
from predictor.curriculum.stages import CONTROL, chains_of, written
from predictor.data import load
from predictor.errors import ConfigError, DataError


@pytest.fixture
def plan(tmp_path: Path) -> dict[str, Any]:
    a, b, c = (
        str(write_squad(tmp_path / f"{name}.json", qa_rows(count, start=start)))
        for name, count, start in (("a", 20, 0), ("b", 10, 100), ("eval", 10, 200))
    )
    return {
        "tasks": {
            "first": {"dataset": a, "eval_dataset": c},
            "second": {"task": "qa", "dataset": b, "eval_dataset": c},
        },
        "stages": [
            {"name": "warm", "tasks": ["first"], "data_ratio": 0.3, "epochs": 2},
            {"name": "both", "data_ratio": 0.6},
            {"name": "all", "tasks": {"first": 2, "second": 1}, "hp": {"learning_rate": 1e-3}},
        ],
        "hp": {"learning_rate": 1e-2, "batch_size": 4, "epochs": 1},
        "seeds": [1, 2],
        "control": True,
        "tiers": "static",
    }


def read(plan: dict[str, Any], folder: Path):
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    return read_course(str(folder / "plan.yaml"))


def test_later_stages_hold_the_rows_of_earlier_ones_and_the_control_holds_all_of_them(plan, tmp_path: Path):
    chains = chains_of(read(plan, tmp_path))
    assert [(chain.kind, chain.seed) for chain in chains] == [
        ("curriculum", 1), ("control", 1), ("curriculum", 2), ("control", 2),
    ]  # fmt: skip
    ordered, control = ([load(step.config.data.dataset).examples for step in chain.steps] for chain in chains[:2])
    assert [len(rows) for rows in ordered] == [6, 18, 30]
    inputs = [{row.context for row in rows} for rows in ordered]
    assert inputs[0] < inputs[1] < inputs[2]
    assert inputs[0] != {row.context for row in load(chains[2].steps[0].config.data.dataset).examples}
    seen = Counter(
        row.context for rows, times in zip(ordered, (2, 1, 1), strict=True) for row in rows for _ in range(times)
    )
    assert Counter(row.context for rows in control for row in rows) == seen
    assert [len(rows) for rows in control] == [12, 18, 30]
    steps = [step.config for chain in chains[:2] for step in chain.steps]
    assert [step.data.order for step in steps] == ["random"] * 3 + ["as_given"] * 3
    rates = [step.hyperparameters.training.learning_rate for step in steps]
    assert rates == [1e-2, 1e-2, 1e-3] * 2
    epochs = [step.hyperparameters.training.epochs for step in steps]
    assert epochs == [2.0, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_rows_of_tasks_by_weight_and_by_each_sampling():
    held = {"a": 100, "b": 25}
    give = lambda weights=None, **how: rows_of_tasks(held, 1.0, weights, Sampling(**how), "here")  # noqa: E731
    assert give() == held
    assert give({"a": 2, "b": 1}) == {"a": 50, "b": 25}
    assert give({"a": 8, "b": 1}) == {"a": 100, "b": 13}
    assert give(how="equal") == {"a": 25, "b": 25}
    assert give(how="capped", cap=40) == {"a": 40, "b": 25}
    assert give(how="temperature", temperature=2.0) == {"a": 50, "b": 25}
    assert give(how="temperature") == held
    with pytest.raises(ConfigError, match=r"the stage has no rows of 'b': data_ratio=0\.01 of 25 rows"):
        rows_of_tasks(held, 0.01, None, Sampling(), "here")


def change(plan: dict[str, Any], path: str, value: object) -> None:
    *way, last = path.split(".")
    for step in way:
        plan = plan[int(step)] if isinstance(plan, list) else plan[step]
    plan[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("stages", [], "the plan has no stages"),
        ("tasks", {}, "the plan has no tasks"),
        ("stages.0.data_ratio", 0, "the ratio 0 is out of range"),
        ("stages.0.data_ratio", 1.5, "the ratio 1.5 is out of range"),
        ("stages.0.data_ratio", "some", "the ratio 'some' is out of range"),
        ("stages.0.tasks", ["frist"], "unknown task 'frist'"),
        ("stages.0.tasks", [], "the stage has no tasks"),
        ("stages.2.tasks", {"first": -1}, "the weight -1 of 'first' is no positive number"),
        ("stages.1.name", "warm", "two stages are called 'warm'"),
        ("stages.0.epoch", 1, "unknown entry 'epoch'"),
        ("stages.0.hp", {"lora_r": 4}, "stages disagree on lora_r"),
        ("hp.max_steps", 5, "unknown hyperparameter 'max_steps'"),
        ("hp.learning_rate", "fast", "learning_rate='fast' is not a number"),
        ("tasks.first.base_model", "smollm2", None),
        ("tasks.first.task", "scorin", "unknown task 'scorin'"),
        ("tasks.first.depth", 1, "unknown entry 'depth'"),
        ("tasks.first.dataset", "", "the task 'first' names no dataset"),
        ("seeds", [1, 1], r"seeds \[1, 1\] are none"),
        ("control", "maybe", "control='maybe' is neither true nor false"),
        ("optimizer", "cold", "optimizer='cold' is unknown"),
        ("batches", "odd", "batches='odd' is unknown"),
        ("cap", 5, "sampling=proportional does not go with the other entries"),
        ("learning_rate", 1, "unknown entry 'learning_rate'"),
        ("eval_limt", 5, "unknown entry 'eval_limt'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    plan, tmp_path: Path, path: str, value: object, message: str | None
):
    change(plan, path, value)
    if message is None:  # one task may name the base of all
        assert read(plan, tmp_path).base_model == "smollm2"
        plan["tasks"]["second"]["base_model"] = "lab"
        message = "the tasks disagree on the base model: task first smollm2, task second lab"
    with pytest.raises(ConfigError, match=message):
        read(plan, tmp_path)


def test_a_dataset_that_is_not_there_and_a_stage_without_rows_are_told(plan, tmp_path: Path):
    plan["stages"][1]["data_ratio"] = 0.01
    with pytest.raises(ConfigError, match="the stage has no rows of 'first'"):
        chains_of(read(plan, tmp_path))
    plan["tasks"]["first"]["dataset"] = str(tmp_path / "absent.json")
    with pytest.raises(DataError, match="the file does not exist"):
        chains_of(read(plan, tmp_path))
    with pytest.raises(ConfigError, match="no plan was given"):
        read_course("")


def test_settings_of_a_task_may_stand_in_its_section(plan, tmp_path: Path):
    plan["tasks"]["first"] |= {"task": "scoring", "scoring": {"dimensions": {"growth": "Growth"}, "low": 1, "high": 5}}
    member = read(plan, tmp_path).members["first"]
    assert member.settings == {"scoring_dimensions": "growth=Growth", "scoring_low": 1.0, "scoring_high": 5.0}


def test_the_scale_is_that_of_all_rows_in_every_stage(plan, tmp_path: Path):
    rows = [{"prompt": "Rate it.", "company_info": f"Firm {n}.", "score": 1 + n} for n in range(10)]
    (tmp_path / "rated.json").write_text(json.dumps(rows))
    plan["tasks"]["first"] |= {"task": "scoring", "dataset": str(tmp_path / "rated.json")}
    plan["tasks"]["first"]["eval_dataset"] = str(tmp_path / "rated.json")
    steps = [step.config.task.settings for chain in chains_of(read(plan, tmp_path)) for step in chain.steps]
    assert len({json.loads(each.several_members)["first"]["scoring_high"] for each in steps} - {10.0}) == 0


def test_by_task_and_kept_and_names_with_commas(plan, tmp_path: Path):
    plan |= {"batches": "by_task", "optimizer": "kept"}
    step = chains_of(read(plan, tmp_path).with_control("false"))[0].steps[0].config
    assert (step.data.order, step.model.keep_optimizer, step.execution.checkpoint_steps) == ("by_task", True, 20)
    assert written("join", [], [("a", "x.json"), ("b", "mix:1:y,1:z")]) == "join:a:x.json,b:(mix:1:y,1:z)"
    assert CONTROL == "control"
