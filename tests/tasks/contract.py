"""What every task keeps. A task's test class inherits `TaskContract` and names its examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from predictor.data.example import Example, Message
from predictor.errors import DataError
from predictor.schema.targets import TARGETS
from predictor.tasks import TASKS, Task, TaskScores, headline_target, reported
from predictor.tasks.base import reads_references


class TaskContract:
    """Set `name`, `usable` (at least two examples with different answers) and `unusable`."""

    name: ClassVar[str]
    usable: ClassVar[tuple[Example, ...]]
    unusable: ClassVar[tuple[Example, ...]]

    @pytest.fixture
    def task(self) -> Task:
        return TASKS.get(self.name)

    def scored(self, task: Task, answers: Sequence[str]) -> TaskScores:
        """The scores of answers, by a model that is sure of the right ones that it gives and of no others."""
        scores = task.score(answers, self.usable)
        if (reader := reads_references(task)) is None:
            return scores
        right = [answer == task.target(example) for answer, example in zip(answers, self.usable, strict=True)]
        losses = [np.full(3, 0.0 if sure else 2.0) for sure in right]
        found = reader.score_references(losses, self.usable)
        assert set(found.values) == set(reader.from_references)
        return scores.joined(found)

    def test_name_is_the_catalog_name(self, task: Task) -> None:
        assert task.name == self.name

    def test_accepts_usable_examples_and_says_what_others_lack(self, task: Task) -> None:
        assert [task.accepts(example) for example in self.usable] == [None] * len(self.usable)
        for example in self.unusable:
            reason = task.accepts(example)
            assert reason
            assert "\n" not in reason

    def test_prompt_ends_with_a_user_turn_without_the_answer_turn(self, task: Task) -> None:
        for example in self.usable:
            messages = task.prompt(example)
            assert all(isinstance(message, Message) for message in messages)
            assert messages[-1].role == "user"
            assert messages == task.prompt(example)

    def test_target_survives_generation_and_scores_full_marks(self, task: Task) -> None:
        answers = [task.parse(f" {task.target(example)}\n") for example in self.usable]
        scores = self.scored(task, answers)
        best = {target.name: target.high if target.higher_is_better else target.low for target in task.targets}
        assert all(best[name] in (None, pytest.approx(value)) for name, value in scores.values.items())

    def test_headline_is_scored(self, task: Task) -> None:
        assert task.headline in self.scored(task, [task.target(example) for example in self.usable]).values

    def test_everything_scored_is_declared_keeps_its_bounds_and_follows_from_what_its_error_needs(self, task: Task):
        answers = ["", *[task.target(example) for example in self.usable[1:]]]
        scores = self.scored(task, answers)
        n = len(self.usable)
        targets = {target.name: target for target in task.targets}
        for target in task.targets:
            assert TARGETS.get(target.name) == target
        for name, value in scores.values.items():
            assert targets[name].inside(value)
            if targets[name].error == "bootstrap" and name in scores.resample:
                assert scores.resample[name](np.arange(n)) == pytest.approx(value)
            elif targets[name].error != "given":
                assert sum(scores.rows[name]) / n == pytest.approx(value)
        assert all(len(rows) == n for rows in scores.rows.values())
        assert {"n", task.headline} <= set(reported(task, scores, n))

    def test_a_worse_answer_makes_the_headline_worse(self, task: Task) -> None:
        good = [task.target(example) for example in self.usable]
        best, other = (self.scored(task, answers) for answers in (good, ["", *good[1:]]))
        assert headline_target(task).better(best.values[task.headline], other.values[task.headline])

    def test_every_row_of_the_predictions_shows_the_same_columns_and_the_answer(self, task: Task) -> None:
        answers = [task.target(example) for example in self.usable]
        numbers = self.scored(task, answers).rows
        rows = [
            task.row(example, answer, {name: values[i] for name, values in numbers.items()})
            for i, (example, answer) in enumerate(zip(self.usable, answers, strict=True))
        ]
        assert len({tuple(row) for row in rows}) == 1
        for row, answer in zip(rows, answers, strict=True):
            assert answer in row.values()
            assert json.loads(json.dumps(row)) == row

    def test_answers_and_questions_must_match_in_number(self, task: Task) -> None:
        with pytest.raises(DataError, match="one answer for each question"):
            task.score([""], self.usable)
        with pytest.raises(DataError, match="at least one question"):
            task.score([], [])
        if (reader := reads_references(task)) is not None:
            with pytest.raises(DataError, match="one answer for each question"):
                reader.score_references([np.zeros(1)], self.usable)

    def test_max_new_tokens_is_positive(self, task: Task) -> None:
        assert task.max_new_tokens > 0
