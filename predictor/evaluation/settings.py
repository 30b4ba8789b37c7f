"""What an evaluation measures beside the task, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from predictor.config import LAB, param

NONE: Final = "none"
"""Leaves a part out."""
KNOWLEDGE: Final = "knowledge"
"""The name of the knowledge questions among the original tasks."""


@dataclass(frozen=True)
class Comparison:
    """What base and fine-tune are compared on."""

    original: str = param(
        "",
        "tasks that the base could do, NAME=KIND:DATA separated by commas (NAME= may be left out): text, chat, choice, "
        "a task such as qa, or lm_eval:TASK; empty takes the base's own, none leaves them out",
    )
    knowledge: str = param(
        "",
        "multiple-choice questions separated by commas: a .csv file as MMLU has it, .jsonl, a folder or a glob; empty "
        "takes the base's own, none leaves them out",
    )
    questions: int = param(200, "questions of the fine-tune's own task; 0 takes all that it is scored on", least=0)
    train_questions: int = param(64, "training rows that are asked again, to see what was learnt by heart", least=0)
    original_limit: int = param(100, "rows of each original task; 0 takes all", least=0)
    generations: int = param(24, "rows of each chat task that are answered, for ROUGE-L and lengths", least=0)
    knowledge_limit: int = param(300, "knowledge questions, evenly from all subjects; 0 takes all", least=0)
    knowledge_prompt: str = param(
        "plain",
        "how a multiple-choice question is put: plain (Question: … Answer:) or chat (through the chat template)",
        choices=("plain", "chat"),
    )
    judge: str = param(
        "",
        "a chat model that marks both models' answers to the task: the base's own name, another base model, a folder, "
        "a run or a hub id; empty asks none",
    )
    judge_prompt: str = param(
        "", "what the judge is asked, with {answer} and if you like {question} and {reference}; empty takes ours"
    )
    max_forgetting: float = param(
        2.0, "points that an original task may lose before the verdict is hold", least=0.0, most=100.0
    )


@dataclass(frozen=True)
class Defaults:
    """What is asked of a base model when nothing is said.

    Attributes:
        original, knowledge: as the parameters take them. chat: the knowledge questions are put as chats.
    """

    original: str
    knowledge: str
    chat: bool = False


EVERYDAY: Final = "everyday"
"""Names the package's own texts, chats and facts of everyday English."""
ENGLISH: Final = Defaults(f"text:{EVERYDAY},chat:{EVERYDAY}", EVERYDAY)
DEFAULTS: Final = {
    # It knows no English, only what it was taught: to read passages, and to answer in its own style.
    LAB: Defaults("chat:lab:original:size=200:seed=0", LAB, chat=True),
    "smollm2": ENGLISH,
}


def defaults_of(base_model: str) -> Defaults:
    """Of a named base its own; any other is taken to know everyday English."""
    return DEFAULTS.get(base_model, ENGLISH)
