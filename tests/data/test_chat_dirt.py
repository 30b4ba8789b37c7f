"""Chat files as generators write them: every spelling that means one thing is read, every broken row is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from predictor.data import load
from predictor.data.formats.qa_turn import parse_passage_question
from tests.data.samples import write


def row(user: Any, assistant: Any = "Rain") -> dict:
    return {"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]}


SOUND = row("Context: Rain fell.\nQuestion: What fell?")


@pytest.mark.parametrize(
    "text",
    [
        "Context: Rain fell.\nQuestion: What fell?",
        "Context: Rain fell. Question: What fell?",
        "Context：Rain fell.\nQuestion：What fell?",
        "  context :  Rain fell.\n\nquestion: What fell?\n",
        "**Context:** Rain fell.\n**Question:** What fell?",
        "### Context:\nRain fell.\n\n### Question:\nWhat fell?\nAnswer:",
        "上下文：Rain fell.\n问题：What fell?",
        "Context: Rain fell.Question: What fell?",
        "Question: What fell?\nContext: Rain fell.",
    ],
)
def test_passage_and_question_are_told_apart(text: str) -> None:
    assert parse_passage_question(text) == ("Rain fell.", "What fell?")


def test_the_last_question_line_counts() -> None:
    text = "Context: He asked:\nQuestion: who?\nand left.\nQuestion: What did he do?"
    assert parse_passage_question(text) == ("He asked:\nQuestion: who?\nand left.", "What did he do?")


@pytest.mark.parametrize("text", ["What fell?", "Context: Rain fell.", "Context: \nQuestion: x", "Some context: a b"])
def test_other_turns_are_left_alone(text: str) -> None:
    assert parse_passage_question(text) is None


@pytest.mark.parametrize(
    "content",
    [
        [SOUND],
        [[SOUND]],
        [[[SOUND]]],
        [SOUND["messages"]],
        [[SOUND["messages"]]],
        {"data": [SOUND]},
        SOUND,
        [{"messages": [SOUND["messages"]]}],
        [{"Messages": [{"Role": "Human", "Text": SOUND["messages"][0]["content"]}, {"Role": "AI", "Text": "Rain"}]}],
        [{"conversation": SOUND["messages"]}],
        [{"messages": [{"role": "user:", "content": [{"type": "text", "text": SOUND["messages"][0]["content"]}]},
                       {"role": "assistant", "content": "Rain", "word_count": 1}]}],
    ],
)  # fmt: skip
def test_every_nesting_and_spelling_gives_the_same_row(tmp_path: Path, content: Any) -> None:
    dataset = load(write(tmp_path / "x.json", content if isinstance(content, dict) else list(content)))
    example = dataset.examples[0]
    assert dataset.format == "messages"
    assert dataset.rows == 1
    assert (example.context, example.question, example.answers) == ("Rain fell.", "What fell?", ("Rain",))
    assert [message.role for message in example.messages] == ["user"]


@pytest.mark.parametrize(
    ("turns", "code", "field"),
    [
        (row("", "x")["messages"], "empty_prompt", "messages[0].content"),
        (row("Hi", " ")["messages"], "empty_answer", "messages[1].content"),
        (row("Hi", None)["messages"], "missing_field", "messages[1].content"),
        (row("Hi", 7)["messages"], "unsupported_content", "messages[1].content"),
        ([{"content": "Hi"}, {"role": "assistant", "content": "x"}], "missing_role", "messages[0].role"),
        ([{"role": "cat", "content": "Hi"}, {"role": "assistant", "content": "x"}], "unknown_role", "messages[0].role"),
        ([{"role": "user", "content": "Hi"}], "no_answer_turn", "messages"),
        ([{"role": "assistant", "content": "Hi"}], "no_prompt_turn", "messages"),
        ([], "no_prompt_turn", "messages"),
        (None, "missing_field", "messages"),
        ("hello", "wrong_type", "messages"),
        ([{"role": "user", "content": "Hi"}, "x"], "wrong_type", "messages[1]"),
        (row([{"type": "image_url", "image_url": "a"}])["messages"], "unsupported_content", "messages[0].content"),
    ],
)
def test_broken_conversations_are_refused(tmp_path: Path, turns: Any, code: str, field: str) -> None:
    dataset = load(write(tmp_path / "x.jsonl", [SOUND, SOUND, {"messages": turns}]), drop_bad=True)
    (refusal,) = dataset.rejections
    assert (refusal.code, refusal.field, refusal.row) == (code, field, "line 3")
    assert refusal.content == {"messages": turns}
    assert refusal.expected
    assert refusal.found


def test_nested_rows_are_named_by_their_index_path(tmp_path: Path) -> None:
    dataset = load(write(tmp_path / "x.json", [[SOUND, row("", "x")], "stray", []]), drop_bad=True)
    assert [(r.row, r.code) for r in dataset.rejections] == [
        ("[0][1]", "empty_prompt"),
        ("[1]", "not_an_object"),
        ("[2]", "no_prompt_turn"),
    ]


def test_conversations_of_several_turns_keep_them(tmp_path: Path) -> None:
    turns = [{"role": role, "content": role} for role in ("system", "user", "assistant", "user", "assistant")]
    example = load(write(tmp_path / "x.jsonl", [{"messages": turns, "source": "forum"}])).examples[0]
    assert [message.role for message in example.messages] == ["system", "user", "assistant", "user"]
    assert example.extra == {"source": "forum"}
    assert example.context is None


def test_tool_calls_are_kept_for_conversion(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "How warm is it?"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "weather"}}]},
        {"role": "tool", "content": "21", "tool_call_id": "1"},
        {"role": "assistant", "content": "It is 21 degrees."},
    ]
    example = load(write(tmp_path / "x.jsonl", [{"messages": turns}])).examples[0]
    assert example.extra["turns"] == turns
    assert "weather" in example.messages[1].content
