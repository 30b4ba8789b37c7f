"""A conversation: history, commands and settings; and the same over a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from predictor.lab import base_model_path
from predictor.models.base_model import load_base_model
from predictor.models.device import Device
from predictor.models.generate import generate
from predictor.models.render import render_turns
from predictor.serving.conversation import ChatConfig, Conversation
from predictor.serving.opening import Opened

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]
CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
ASKED = "Context: The home of Garra Benbrook is in Cape Palhaven.\nQuestion: In which town does Garra live?"


@pytest.fixture
def talk() -> Conversation:
    base = load_base_model(str(base_model_path()), CPU)
    said, notes = [], []
    made = Conversation(
        Opened("lab", base.model, base, "", base.model_digest),
        ChatConfig(max_new_tokens=8),
        say=said.append,
        note=notes.append,
    )
    made.said, made.notes = said, notes  # type: ignore[attr-defined]
    return made


def test_an_answer_comes_in_pieces_and_is_the_one_of_a_batch(talk):
    assert talk.hear(ASKED)
    first = talk.turns[-1].content
    assert "".join(talk.said).strip() == first
    tokenizer = talk.opened.base.tokenizer
    prompt = render_turns(talk.turns[:1], tokenizer)
    assert tokenizer.decode(generate(talk.opened.model, tokenizer, [prompt], max_new_tokens=8)[0]).strip() == first
    talk.hear("Question: And what is it?")
    assert [turn.role for turn in talk.turns] == ["user", "assistant", "user", "assistant"]


def test_commands(talk):
    for line in ("/set temperature 0.7", "/system Be short.", "/set", "/history", "/help", "/nonsense", "/set top_p 2"):
        assert talk.hear(line)
    assert talk.config.temperature == 0.7
    assert talk.config.system == "Be short."
    text = "\n".join(talk.notes)
    assert "temperature 0.7" in text
    assert "system: Be short." in text
    assert "unknown command /nonsense" in text
    assert "top_p=2 is out of range" in text
    assert talk.turns == []
    talk.hear(ASKED)
    talk.hear("/reset")
    assert talk.turns == []
    assert talk.config.system == "Be short."
    assert not talk.hear("/quit")


def test_drawn_answers_follow_from_the_seed(talk):
    talk.hear("/set temperature 2")
    answers = []
    for seed in (1, 1, 2):
        talk.hear("/reset")
        talk.hear(f"/set seed {seed}")
        answers.append(talk.answer(ASKED))
    assert answers[0] == answers[1] != answers[2]


def test_a_conversation_that_outgrows_the_context_leaves_its_beginning_out(talk):
    talk.opened.base.model.config.max_position_embeddings = 100
    talk.answer(ASKED)
    talk.answer(ASKED)
    talk.answer(ASKED)
    assert any("the model's context is full" in note for note in talk.notes)
    assert len(talk.turns) < 6
    assert talk.answer("word " * 200) == ""
    assert "exceed the model's context" in talk.notes[-1]


def test_an_answer_that_is_broken_off_stays_as_far_as_it_came(talk, monkeypatch: pytest.MonkeyPatch):
    def broken(ids: list[int], heard: list[str]) -> None:
        heard.append("Cape")
        raise KeyboardInterrupt

    monkeypatch.setattr(talk, "_generate", broken)
    assert talk.answer(ASKED) == "Cape"
    assert talk.notes == ["(broken off)"]
    assert talk.turns[-1].content == "Cape"


def test_over_a_pipe():
    lines = ASKED.replace("\n", "\\\n") + "\n/history\n/quit\nnever\n"
    done = subprocess.run(
        [sys.executable, "-m", "entrypoints.chat", "--max_new_tokens", "8"],
        input=lines, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Cape Palhaven" in done.stdout
    assert f"user: {ASKED}" in done.stderr
    assert "never" not in done.stdout + done.stderr
    assert ">" not in done.stdout, "no prompts where nobody sees them"
