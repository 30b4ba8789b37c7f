"""Summaries."""

from __future__ import annotations

import pytest

from predictor.data.example import Example, Message
from predictor.errors import DataError
from predictor.schema.targets import target_of
from predictor.tasks import TASKS, configured
from predictor.tasks.summarization import SummarizationSettings
from tests.tasks.contract import TaskContract

DOCTOR = Example(
    "1", ("Mira has trouble breathing and sees a doctor.", "Mira is ill."), context="Mira: I cannot breathe."
)
CHINESE = Example("2", ("米拉明天去北京看朋友。",), context="米拉：我明天去北京。")


class TestSummarization(TaskContract):
    name = "summarization"
    usable = (DOCTOR, CHINESE)
    unusable = (
        Example("3", ("x",), context="The harbour opened in 1904.", question="When did it open?"),
        Example("4", (" ",), context="Nothing is said."),
        Example("5", ("x",), context=" "),
    )


def test_the_instruction_is_a_setting() -> None:
    assert TASKS.get("summarization").prompt(DOCTOR) == [
        Message("user", "Summarize the following text.\n\nMira: I cannot breathe.")
    ]
    chinese = configured("summarization", SummarizationSettings(instruction="请概括下面的对话。"))
    assert chinese.prompt(CHINESE)[0].content == "请概括下面的对话。\n\n米拉：我明天去北京。"


def test_every_summary_is_a_reference_and_chinese_is_scored_by_character() -> None:
    scores = TASKS.get("summarization").score(["Mira is ill.", "米拉去北京。"], [DOCTOR, CHINESE])
    assert scores.rows["rouge_l"] == [1.0, pytest.approx(2 * 5 / (5 + 10))]
    assert "tok:zh" in scores.signatures["bleu"]


def test_a_summary_is_needed_to_score() -> None:
    with pytest.raises(DataError, match="question 1 of the evaluation has no accepted answer"):
        TASKS.get("summarization").score(["x"], [Example("9", (), context="c")])


@pytest.mark.parametrize(
    ("name", "higher"), [("rouge_l", True), ("bleu", True), ("perplexity", False), ("bits_per_byte", False)]
)
def test_which_direction_is_better_comes_from_the_target(name: str, higher: bool) -> None:
    assert target_of(f"score/{name}").higher_is_better is higher
