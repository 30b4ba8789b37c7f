"""Several tasks as one: each row belongs to its own, each task is reported apart, the headline is their mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from predictor.data.example import Example
from predictor.errors import ConfigError, DataError
from predictor.tasks import TASKS, reported
from predictor.tasks.base import Heard
from predictor.tasks.several import Several, SeveralSettings, members_text

MEMBERS = {"facts": {"task": "qa"}, "growth": {"task": "scoring", "scoring_low": 1, "scoring_high": 5}}
FACTS = [
    Example(f"q{n}", (f"{n}",), context=f"It is {n}.", question="What?", extra={"task": "facts"}) for n in range(4)
]
GROWTH = [
    Example(f"s{n}", (str(n),), context=f"Firm {n}.", question="Rate it.", extra={"task": "growth"})
    for n in range(1, 5)
]
ROWS = [row for pair in zip(FACTS, GROWTH, strict=True) for row in pair]


@pytest.fixture
def task() -> Several:
    fitted, train, _ = Several(SeveralSettings(members_text(MEMBERS))).fitted(ROWS, ROWS)
    assert train == ROWS
    return fitted


def test_each_row_is_put_and_scored_by_its_own_task(task: Several):
    assert task.prompt(FACTS[0]) == TASKS.get("qa").prompt(FACTS[0])
    assert task.target(GROWTH[0]) == "Score: 1"
    answers = [task.target(row) for row in ROWS]
    answers[0], answers[1] = "wrong", "Score: 5"
    scores = task.score(answers, ROWS)
    assert scores.values["exact_match/facts"] == 0.75
    assert scores.values["mae/growth"] == 1.0
    assert scores.values["overall"] == pytest.approx((0.75 + 0.75) / 2)
    logged = reported(task, scores, len(ROWS))
    assert logged["exact_match/facts_se"] == pytest.approx(np.sqrt(0.75 * 0.25 / 4))
    assert 0 < logged["overall_se"] < logged["exact_match/facts_se"]
    row = task.row(ROWS[1], answers[1], {"overall": scores.rows["overall"][1]})
    assert (row["task"], row["wanted"], row["answer"], row["overall"]) == ("growth", "Score: 1", "Score: 5", 0.0)
    assert set(scores.account["tasks"]) == {"facts", "growth"}


def test_only_those_that_listen_are_heard_for(task: Several):
    assert task.wants(FACTS[0], "") == ()
    [wanted] = task.wants(GROWTH[0], "Score: 2")
    losses = [[] if row in FACTS else [[np.array([float(n)]) for n in range(len(wanted.texts))]] for row in ROWS]
    scores = task.score_heard([task.target(row) for row in ROWS], ROWS, Heard(losses, lambda texts: np.zeros(0), ()))
    assert scores.values["expected_mae/growth"] > 0
    numbers = task.numbers(ROWS)
    assert numbers == {"growth/score": ([1, 3, 5, 7], [1.0, 2.0, 3.0, 4.0])}
    floor = task.floor_scores({"growth/score": np.array([1.0, 2.0, 3.0, 4.0])}, ROWS)
    assert floor.values["floor_mae/growth"] == 0.0


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("not json", "several_members is no JSON of tasks"),
        ('{"a": {"task": "qaa"}}', "unknown task 'qaa'"),
        ('{"a": {"task": "qa", "depth": 1}}', "unknown setting 'depth'"),
    ],
)
def test_members_that_mean_nothing_are_refused(members: str, message: str):
    with pytest.raises(ConfigError, match=message):
        Several(SeveralSettings(members))


def test_rows_of_no_task_are_not_used_and_each_task_is_scored():
    task = Several(SeveralSettings(members_text(MEMBERS)))
    assert task.accepts(replace(FACTS[0], extra={})) == "is of no task of facts, growth"
    assert task.accepts(FACTS[0]) is None
    with pytest.raises(DataError, match="the evaluation has no row of the task 'growth'"):
        task.fitted(ROWS, FACTS)
    with pytest.raises(DataError, match="at least one question"):
        task.score([], [])
