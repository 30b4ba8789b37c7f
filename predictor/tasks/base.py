"""What a task is: how an example is put to a chat model and how an answer is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from predictor.data.example import Example, Message


@dataclass(frozen=True)
class TaskScores:
    """Scores of one evaluation.

    Attributes:
        mean: name → mean over the questions, a fraction in [0, 1].
        rows: name → one score for each question, in the order of the questions.
    """

    mean: Mapping[str, float]
    rows: Mapping[str, Sequence[float]]


class Task(Protocol):
    """The few members by which the fine-tune, the probe and the evaluation know a task."""

    name: str
    headline: str
    """The score that a predictor is trained on, a key of `TaskScores.mean`."""
    max_new_tokens: int
    """An answer longer than this is cut when generating."""

    def accepts(self, example: Example) -> str | None:
        """None when the example can be used, otherwise what it lacks."""
        ...

    def prompt(self, example: Example) -> list[Message]:
        """The chat turns before the answer."""
        ...

    def target(self, example: Example) -> str:
        """The assistant's turn that is trained on."""
        ...

    def parse(self, generated: str) -> str:
        """The answer inside the text that the model generated."""
        ...

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> TaskScores:
        """Scores of parsed answers against the examples' references, in the same order."""
        ...
