"""The texts of a dataset as the static features read them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from predictor.data.example import Example
from predictor.errors import DataError
from predictor.probe.sample import sample
from predictor.tasks import Task

READ_ROWS = 4096
"""Rows that the static features read at most; the size and the exact duplicates are counted over all rows."""

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_TOKEN = re.compile(f"[{_CJK}]|[^\\W{_CJK}]+")


def tokens(text: str) -> list[str]:
    """Words without case and punctuation; each Chinese or Japanese character is a word of its own.

    Tokens of the static features do not depend on any model's tokenizer, so they compare across base models.
    """
    return _TOKEN.findall(text.casefold())


@dataclass(frozen=True)
class Texts:
    """A dataset's prompts and answers, row by row.

    Attributes:
        size: rows in the whole dataset.
        prompts: what is put to the model, without chat markup.
        answers: what the model is trained to say.
        questions: the question or instruction of each row; the prompt where a row has no separate question.
        contexts: the passage of each row; None where a row has none.
        distinct_rows, distinct_prompts: counted over the whole dataset, without regard to case and white space.
        conflicting_rows: rows of the whole dataset whose prompt occurs with more than one answer.
        dev: the texts of the development slice, whose answers are those that the task wants; None without a slice.
    """

    size: int
    prompts: Sequence[str]
    answers: Sequence[str]
    questions: Sequence[str]
    contexts: Sequence[str | None]
    distinct_rows: int
    distinct_prompts: int
    conflicting_rows: int
    dev: Texts | None = None

    @cached_property
    def prompt_tokens(self) -> list[list[str]]:
        """Tokens of each prompt."""
        return [tokens(text) for text in self.prompts]

    @cached_property
    def answer_tokens(self) -> list[list[str]]:
        """Tokens of each answer."""
        return [tokens(text) for text in self.answers]

    @cached_property
    def question_tokens(self) -> list[list[str]]:
        """Tokens of each question, or of the prompt in its place."""
        return [tokens(text) for text in self.questions]

    @cached_property
    def context_tokens(self) -> list[list[str] | None]:
        """Tokens of each passage; None where a row has none."""
        return [None if text is None else tokens(text) for text in self.contexts]

    @cached_property
    def prompt_lengths(self) -> np.ndarray:
        """Tokens of each prompt, shape (rows,)."""
        return np.array([len(row) for row in self.prompt_tokens], dtype=float)

    @cached_property
    def answer_lengths(self) -> np.ndarray:
        """Tokens of each answer, shape (rows,)."""
        return np.array([len(row) for row in self.answer_tokens], dtype=float)


def read(examples: Sequence[Example], task: Task, most: int = READ_ROWS, dev: Sequence[Example] = ()) -> Texts:
    """The texts of a sample of at most `most` rows, with the counts that need all rows.

    Args:
        dev: the development slice.

    Raises:
        DataError: no rows.
    """
    if not examples:
        raise DataError("the dataset has no rows to probe", rule="at least one row", fix="check the dataset's report")
    answers_of: dict[str, set[str]] = {}
    prompt_of: list[str] = []
    for example in examples:
        prompt_of.append(_folded(prompt_text(example, task)))
        answers_of.setdefault(prompt_of[-1], set()).add(_folded(task.target(example)))
    chosen = sample(examples, most)
    return Texts(
        size=len(examples),
        prompts=[prompt_text(example, task) for example in chosen],
        answers=[task.target(example) for example in chosen],
        questions=[example.question or prompt_text(example, task) for example in chosen],
        contexts=[example.context for example in chosen],
        distinct_rows=sum(len(accepted) for accepted in answers_of.values()),
        distinct_prompts=len(answers_of),
        conflicting_rows=sum(len(answers_of[prompt]) > 1 for prompt in prompt_of),
        dev=read(dev, task, most) if dev else None,
    )


def prompt_text(example: Example, task: Task) -> str:
    """What a reader reads: the turns before the answer, without chat markup; of a task that has one, the text alone."""
    plain = getattr(task, "plain_text", None)
    if plain is not None:
        return str(plain(example))
    return "\n".join(message.content for message in task.prompt(example))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
