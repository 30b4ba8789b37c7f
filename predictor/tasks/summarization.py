"""Summarization of a document or dialogue, scored against one or more summaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from predictor.config import param
from predictor.data.example import Example, Message
from predictor.tasks.base import TaskScores, register
from predictor.tasks.texts import FROM_REFERENCES, TARGETS, score_losses, score_texts


@dataclass(frozen=True)
class SummarizationSettings:
    """Section `summarization`."""

    max_new_tokens: int = param(128, "tokens of an answer; a longer one is cut when generating", least=1, listed=False)
    instruction: str = param(
        "Summarize the following text.", "what stands before each document, in the documents' language", listed=False
    )


@register
class Summarization:
    """Reads a document (`context`, or `text`) and its summaries; one user turn puts the instruction before it.

    Headline is ROUGE-L, by which summaries are usually compared. The first summary is learnt and is the one whose
    likelihood is measured; the others count as references.
    """

    name = "summarization"
    targets = TARGETS
    headline = "rouge_l"
    from_references = FROM_REFERENCES
    settings = SummarizationSettings
    defaults: Mapping[str, object] = {"eval_dataset": "split:0.1"}

    def __init__(self, settings: SummarizationSettings = SummarizationSettings()) -> None:
        self.max_new_tokens = settings.max_new_tokens
        self.instruction = settings.instruction

    def accepts(self, example: Example) -> str | None:
        """None when the example can be used, otherwise what it lacks."""
        if not _document(example).strip():
            return "lacks a document"
        if example.question is not None:
            return "asks a question, which a summary does not answer"
        return None if example.answer.strip() else "lacks a summary"

    def prompt(self, example: Example) -> list[Message]:
        """One user turn and no system turn."""
        return [Message("user", f"{self.instruction}\n\n{_document(example)}")]

    def target(self, example: Example) -> str:
        """The first summary."""
        return example.answer

    def parse(self, generated: str) -> str:
        """The generated text without surrounding white space."""
        return generated.strip()

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> TaskScores:
        """Likeness of the answers to the summaries. Errors as of :func:`~predictor.tasks.texts.score_texts`."""
        return score_texts(answers, [example.answers for example in examples])

    def score_references(self, losses: Sequence[np.ndarray], examples: Sequence[Example]) -> TaskScores:
        """How likely the model finds the first summaries."""
        return score_losses(losses, [example.answer for example in examples])

    def row(self, example: Example, answer: str, scores: Mapping[str, float]) -> dict[str, object]:
        """Document, answer, summaries and the scores."""
        return {"document": _document(example), "answer": answer, "references": list(example.answers), **scores}


def _document(example: Example) -> str:
    return example.context or example.text or ""
