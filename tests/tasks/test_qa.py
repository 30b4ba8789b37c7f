"""Extractive question answering."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.data.example import Example, Message
from predictor.errors import ConfigError, DataError
from predictor.tasks import TASKS, TaskScores, reported
from tests.tasks.contract import TaskContract

HARBOUR = Example("1", ("1904", "in 1904"), context="The harbour opened in 1904.", question="When did it open?")
BAKER = Example("2", ("Mira Oduya",), context="Mira Oduya bakes bread.", question="Who bakes bread?")
CHINESE = Example("3", ("北京大学",), context="他毕业于北京大学。", question="他毕业于哪里？")


class TestQuestionAnswering(TaskContract):
    name = "qa"
    usable = (HARBOUR, BAKER, CHINESE)
    unusable = (
        Example("4", ("x",), question="Who?"),
        Example("5", (), context="Nothing is said.", question="Who?"),
        Example("6", (" ",), context="Nothing is said.", question="Who?"),
    )


def test_prompt_is_one_user_turn_in_the_documented_form() -> None:
    assert TASKS.get("qa").prompt(HARBOUR) == [
        Message("user", "Context: The harbour opened in 1904.\nQuestion: When did it open?")
    ]


@pytest.mark.parametrize(
    ("example", "reason"),
    [
        (Example("1", ("x",), context="c"), "lacks question"),
        (Example("1", ("x",), context=" ", question="q"), "lacks context"),
        (Example("1", context="c"), "lacks question and answer"),
        (Example("1"), "lacks context, question and answer"),
    ],
)
def test_rejection_names_every_missing_part(example: Example, reason: str) -> None:
    assert TASKS.get("qa").accepts(example) == reason


def test_scores_use_every_reference() -> None:
    scores = TASKS.get("qa").score(["In 1904!", "Oduya"], [HARBOUR, BAKER])
    assert scores.rows == {"exact_match": [1.0, 0.0], "f1": [1.0, pytest.approx(2 / 3)]}
    assert scores.values == {"exact_match": 0.5, "f1": pytest.approx(5 / 6)}


def test_a_row_of_the_predictions_shows_what_was_asked_and_answered() -> None:
    row = TASKS.get("qa").row(HARBOUR, "1905", {"exact_match": 0.0, "f1": 0.5})
    assert row == {
        "question": "When did it open?",
        "answer": "1905",
        "references": ["1904", "in 1904"],
        "em": 0.0,
        "f1": 0.5,
    }


def test_errors_of_exact_match_and_f1_follow_their_own_rules() -> None:
    rows = [1.0] * 3 + [0.0] * 4
    found = reported(
        TASKS.get("qa"), TaskScores({"exact_match": 3 / 7, "f1": 3 / 7}, {"exact_match": rows, "f1": rows}), 7
    )
    assert found["exact_match_se"] == math.sqrt(3 / 7 * (1.0 - 3 / 7) / 7)
    assert found["f1_se"] == pytest.approx(np.std(rows, ddof=1) / math.sqrt(7))
    assert found["f1_se"] > found["exact_match_se"]


def test_character_f1_appears_only_beside_cjk_references() -> None:
    scores = TASKS.get("qa").score(["北京", "Oduya"], [CHINESE, BAKER])
    assert scores.rows["f1"] == [0.0, pytest.approx(2 / 3)]
    assert scores.rows["f1_cjk"] == [pytest.approx(2 / 3), pytest.approx(2 / 3)]


def test_scoring_an_unanswerable_question_names_it() -> None:
    with pytest.raises(DataError, match="question 'q7' has no accepted answer"):
        TASKS.get("qa").score(["x"], [Example("q7", (), context="c", question="q")])


def test_unknown_task_suggests_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown task 'squad'"):
        TASKS.get("squad")
