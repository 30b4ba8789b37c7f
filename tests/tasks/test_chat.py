"""Conversations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.data.example import Example, Message
from predictor.tasks import TASKS, configured
from predictor.tasks.chat import ChatSettings
from tests.tasks.contract import TaskContract

CREPES = Example("1", ("Mix flour, eggs and milk, then fry it.",), question="Describe how to make crepes.")
SENTENCE = Example("2", ("The parrot sat on the roof.",), context="The parrot sit.", question="Correct the sentence.")
TALK = Example(
    "3",
    ("It is sunny in Oslo, 21 degrees.",),
    messages=(
        Message("system", "You are terse."),
        Message("user", "Hello!"),
        Message("assistant", "Good day."),
        Message("user", "What is the weather in Oslo?"),
        Message("assistant", '{"name": "weather", "arguments": {"place": "Oslo"}}'),
        Message("tool", '{"sky": "sunny", "degrees": 21}'),
    ),
    extra={"tools": '[{"name": "weather"}]'},
)


class TestChat(TaskContract):
    name = "chat"
    usable = (CREPES, SENTENCE)
    unusable = (
        Example("4", (" ",), question="Who?"),
        Example("5", ("x",), text="A text with a class", label="x"),
        Example("6", ("x",), messages=(Message("user", "a"), Message("assistant", "b"))),
        Example("7", ("x",), messages=(Message("user", "a"), Message("assistant", " "), Message("user", "b"))),
    )


def test_an_instruction_is_one_user_turn_with_its_input_below() -> None:
    chat = TASKS.get("chat")
    assert chat.prompt(CREPES) == [Message("user", "Describe how to make crepes.")]
    assert chat.prompt(SENTENCE) == [Message("user", "Correct the sentence.\nThe parrot sit.")]


def test_turns_of_system_and_tools_are_kept_and_offered_functions_stand_in_the_system_turn() -> None:
    [system, *turns] = TASKS.get("chat").prompt(TALK)
    assert turns == list(TALK.messages[1:])
    assert system.role == "system"
    assert system.content.startswith("You are terse.\n\nYou may call")
    assert system.content.endswith('[{"name": "weather"}]')


@pytest.mark.parametrize("tools", [None, "", "[]", " [] ", [], "null"])
def test_a_row_that_offers_no_function_gets_no_system_turn(tools) -> None:
    assert TASKS.get("chat").prompt(Example("1", ("x",), question="q", extra={"tools": tools})) == [
        Message("user", "q")
    ]


def test_a_system_prompt_of_the_configuration_is_for_rows_without_one() -> None:
    chat = configured("chat", ChatSettings(system_prompt="Be kind."))
    assert chat.prompt(CREPES)[0] == Message("system", "Be kind.")
    assert chat.prompt(TALK)[0].content.startswith("You are terse.")


def test_likelihood_is_of_every_answer_and_likeness_of_the_last() -> None:
    chat = TASKS.get("chat")
    losses = [np.full(10, 0.5), np.full(30, 1.5)]
    found = chat.score_references(losses, [CREPES, TALK])
    said = CREPES.answer + "Good day." + TALK.messages[4].content + TALK.answer
    assert found.values["perplexity"] == pytest.approx(math.exp((5 + 45) / 40))
    assert found.values["bits_per_byte"] == pytest.approx(50 / math.log(2) / len(said))
    assert found.resample["perplexity"](np.array([0, 0])) == pytest.approx(math.exp(0.5))
    scores = chat.score([TALK.answer], [TALK])
    assert scores.values["rouge_l"] == 1.0
    assert scores.signatures["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")


def test_a_row_of_the_predictions_shows_what_was_asked_last() -> None:
    row = TASKS.get("chat").row(TALK, "Sunny.", {"rouge_l": 0.25})
    assert row == {
        "asked": '{"sky": "sunny", "degrees": 21}',
        "turn": 3,
        "answer": "Sunny.",
        "references": ["It is sunny in Oslo, 21 degrees."],
        "rouge_l": 0.25,
    }
