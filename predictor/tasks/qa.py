"""Extractive question answering, scored as SQuAD v1.1 does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from predictor.config import param
from predictor.data.example import Example, Message
from predictor.errors import DataError
from predictor.metrics import squad
from predictor.schema.targets import Target
from predictor.tasks.base import TaskScores, register

_SHORT = {"exact_match": "em"}
"""Scores by the names that they have as columns of a table."""


@dataclass(frozen=True)
class QaSettings:
    """Section `qa`."""

    max_new_tokens: int = param(64, "tokens of an answer; a longer one is cut when generating", least=1, listed=False)


@register
class QuestionAnswering:
    """Reads `context`, `question` and `answers`; scores exact match (the headline) and F1, both fractions.

    Where a reference holds Chinese or Japanese, `f1_cjk` (F1 over characters, not an official score) is added.
    """

    name = "qa"
    targets = (
        Target(
            "exact_match",
            "the share of questions whose answer is one of the accepted ones",
            low=0.0,
            high=1.0,
            error="bernoulli",
        ),
        Target(
            "f1",
            "how much the words of the answers overlap with those of the accepted ones",
            low=0.0,
            high=1.0,
            error="mean",
        ),
        Target(
            "f1_cjk",
            "the same over single characters, where a reference is Chinese or Japanese",
            low=0.0,
            high=1.0,
            error="mean",
        ),
    )
    headline = "exact_match"
    settings = QaSettings

    def __init__(self, settings: QaSettings = QaSettings()) -> None:
        self.max_new_tokens = settings.max_new_tokens

    def accepts(self, example: Example) -> str | None:
        """None when the example can be used, otherwise what it lacks."""
        parts = (("context", example.context), ("question", example.question), ("answer", example.answer))
        lacking = [name for name, text in parts if not (text or "").strip()]
        return f"lacks {_listed(lacking)}" if lacking else None

    def prompt(self, example: Example) -> list[Message]:
        """One user turn and no system turn."""
        return [Message("user", f"Context: {example.context or ''}\nQuestion: {example.question or ''}")]

    def target(self, example: Example) -> str:
        """The first answer."""
        return example.answer

    def parse(self, generated: str) -> str:
        """The generated text without surrounding white space."""
        return generated.strip()

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> TaskScores:
        """Scores of parsed answers against the examples' references, in the same order.

        Raises:
            DataError: nothing to score, unequal numbers of answers and examples, or an example without references.
        """
        if not examples or len(answers) != len(examples):
            raise DataError(
                f"{len(answers)} answers cannot be scored against {len(examples)} questions",
                rule="one answer for each question, and at least one question",
            )
        for example in examples:
            if not example.answers:
                raise DataError(
                    f"question '{example.id}' has no accepted answer",
                    rule="every scored question has at least one reference answer, as in SQuAD v1.1",
                    fix="leave unanswerable questions out of the evaluation file",
                )
        references = [example.answers for example in examples]
        metrics = {"exact_match": squad.exact_match, "f1": squad.f1}
        if any(squad.has_cjk(text) for accepted in references for text in accepted):
            metrics["f1_cjk"] = squad.f1_cjk
        pairs = list(zip(answers, references, strict=True))
        rows = {name: [metric(*pair) for pair in pairs] for name, metric in metrics.items()}
        return TaskScores(values={name: sum(scores) / len(scores) for name, scores in rows.items()}, rows=rows)

    def row(self, example: Example, answer: str, scores: Mapping[str, float]) -> dict[str, object]:
        """Question, answer, references and the scores, exact match as `em`."""
        shown = {_SHORT.get(name, name): score for name, score in scores.items()}
        return {"question": example.question or "", "answer": answer, "references": list(example.answers), **shown}


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
