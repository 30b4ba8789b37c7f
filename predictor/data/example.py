"""One row of a dataset in the form that every other room reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Message(NamedTuple):
    """One chat turn. `role` is one of system, user, assistant, tool."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Example:
    """One training or evaluation row, whatever file it came from.

    A row is a question put to the model (`messages`, or the parts from which a task builds its prompt) and the accepted
    answers. A task reads the parts it knows: question answering reads `context` and `question`, classification
    reads `text` and `label`, chat reads `messages`.

    Attributes:
        id: unique in its dataset.
        answers: accepted answers, the first being the one that is trained on; empty for an unanswerable question.
        context: the passage to read, if the row has one (also the document to summarise).
        question: the question or instruction, if the row has one.
        text: the text to classify, if the row has one.
        label: the class name of `text`.
        messages: the conversation before the answer, for chat rows (never contains the answer that is trained on).
        answer_starts: character offset in `context` of each answer; empty when unknown.
        group: rows of one group (the same passage, near-duplicates) must stay on one side of a split.
        extra: whatever else the format holds and conversion must keep (title, tools, score, ...). JSON values only.
    """

    id: str
    answers: tuple[str, ...] = ()
    context: str | None = None
    question: str | None = None
    text: str | None = None
    label: str | None = None
    messages: tuple[Message, ...] = ()
    answer_starts: tuple[int, ...] = ()
    group: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def answer(self) -> str:
        """The answer that is trained on; empty for an unanswerable question."""
        return self.answers[0] if self.answers else ""


def transcript(turns: Sequence[Message]) -> str:
    """A conversation as text for people, a line for each turn, with who says it."""
    return "\n".join(f"{turn.role}: {turn.content}" for turn in turns)
