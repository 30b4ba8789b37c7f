"""Conversations, of one turn or many, of which every turn of the assistant is learnt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from predictor.config import param
from predictor.data.example import Example, Message
from predictor.tasks.base import TaskScores, register
from predictor.tasks.texts import FROM_REFERENCES, TARGETS, score_losses, score_texts

_MAY_CALL = "You may call these functions, by answering with a JSON object of the name and the arguments of one:"


@dataclass(frozen=True)
class ChatSettings:
    """Section `chat`."""

    max_new_tokens: int = param(128, "tokens of an answer; a longer one is cut when generating", least=1, listed=False)
    system_prompt: str = param(
        "", "system turn of conversations that have none; empty leaves it to the chat template", listed=False
    )


@register
class Chat:
    """Reads turns (`messages`), or an instruction (`question`) with an input (`context`), and the last answer.

    Turns of system and tools stay where they are and are read, never learnt; calls of functions are turns of the
    assistant and are. The functions that a row offers (`tools`) stand in its system turn.

    Answers are generated to what stands before the last one, and likelihood is measured of all that is learnt. Headline
    is bits per byte: it needs no generation and so no chance and no cut, hears every token of every answer where an
    answer to an open question has no one right wording, compares base models of different tokenizers, and, unlike
    perplexity, is not blown up by a few poor runs.
    """

    name = "chat"
    targets = TARGETS
    headline = "bits_per_byte"
    from_references = FROM_REFERENCES
    learns_every_turn = True
    settings = ChatSettings
    defaults: Mapping[str, object] = {"eval_dataset": "split:0.1"}

    def __init__(self, settings: ChatSettings = ChatSettings()) -> None:
        self.max_new_tokens = settings.max_new_tokens
        self.system_prompt = settings.system_prompt

    def accepts(self, example: Example) -> str | None:
        """None when the example can be used, otherwise what is wrong with it."""
        if not example.answer.strip():
            return "lacks an answer"
        if not example.messages:
            return None if (example.question or "").strip() else "lacks turns, or a question"
        if example.messages[-1].role not in ("user", "tool"):
            return f"its last answer follows a turn of {example.messages[-1].role}, not one of user or tool"
        if any(role == "assistant" and not content.strip() for role, content in example.messages):
            return "an earlier answer is empty"
        return None

    def prompt(self, example: Example) -> list[Message]:
        """The turns before the last answer; the system turn first, if there is one."""
        turns = list(example.messages) or [Message("user", _asked(example))]
        own = turns.pop(0).content if turns[0].role == "system" else self.system_prompt
        system = "\n\n".join(filter(None, [own, _offer(example)]))
        return [Message("system", system), *turns] if system else turns

    def target(self, example: Example) -> str:
        """The last answer."""
        return example.answer

    def parse(self, generated: str) -> str:
        """The generated text without surrounding white space."""
        return generated.strip()

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> TaskScores:
        """Likeness to the last answers. Errors as of :func:`~predictor.tasks.texts.score_texts`."""
        return score_texts(answers, [example.answers for example in examples])

    def score_references(self, losses: Sequence[np.ndarray], examples: Sequence[Example]) -> TaskScores:
        """How likely the model finds the answers of every turn."""
        return score_losses(losses, ["".join(_said(example)) for example in examples])

    def row(self, example: Example, answer: str, scores: Mapping[str, float]) -> dict[str, object]:
        """What was asked last, which turn answers it, answer, references and the scores."""
        asked = self.prompt(example)
        shown: dict[str, object] = {"asked": asked[-1].content, "turn": len(_said(example)), "answer": answer}
        return {**shown, "references": list(example.answers), **scores}


def _asked(example: Example) -> str:
    """An instruction with its input below, as Alpaca's files mean it."""
    return f"{example.question}\n{example.context}" if example.context else example.question or ""


def _said(example: Example) -> list[str]:
    return [*(content for role, content in example.messages if role == "assistant"), example.answer]


def _offer(example: Example) -> str:
    """The functions that a row offers, in words; empty when it offers none."""
    tools = example.extra.get("tools")
    text = tools.strip() if isinstance(tools, str) else json.dumps(tools, ensure_ascii=False) if tools else ""
    return f"{_MAY_CALL}\n{text}" if text not in ("", "[]", "{}", "null") else ""
