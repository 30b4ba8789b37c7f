"""What every task keeps. A task's test class inherits `TaskContract` and names its examples."""

from __future__ import annotations

from typing import ClassVar

import pytest

from predictor.data.example import Example, Message
from predictor.errors import DataError
from predictor.tasks import TASKS, Task


class TaskContract:
    """Set `name`, `usable` (at least two examples with different answers) and `unusable`."""

    name: ClassVar[str]
    usable: ClassVar[tuple[Example, ...]]
    unusable: ClassVar[tuple[Example, ...]]

    @pytest.fixture
    def task(self) -> Task:
        return TASKS.get(self.name)

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
        scores = task.score(answers, self.usable)
        assert all(mean == 1.0 for mean in scores.mean.values())

    def test_headline_is_scored(self, task: Task) -> None:
        assert task.headline in task.score([task.target(example) for example in self.usable], self.usable).mean

    def test_scores_are_fractions_whose_rows_average_to_the_mean(self, task: Task) -> None:
        answers = ["", *[task.target(example) for example in self.usable[1:]]]
        scores = task.score(answers, self.usable)
        assert set(scores.mean) == set(scores.rows)
        for name, rows in scores.rows.items():
            assert len(rows) == len(self.usable)
            assert all(0.0 <= row <= 1.0 for row in rows)
            assert scores.mean[name] == pytest.approx(sum(rows) / len(rows))
        assert scores.mean[task.headline] < 1.0

    def test_answers_and_questions_must_match_in_number(self, task: Task) -> None:
        with pytest.raises(DataError, match="one answer for each question"):
            task.score([""], self.usable)
        with pytest.raises(DataError, match="at least one question"):
            task.score([], [])

    def test_max_new_tokens_is_positive(self, task: Task) -> None:
        assert task.max_new_tokens > 0
