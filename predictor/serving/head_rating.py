"""Models with a head that gives scores: rows in, the score of each dimension out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from predictor.data.example import Example
from predictor.data.rejection import Rejection
from predictor.models.reading import NO_CLASS, read_off, read_texts
from predictor.progress import Progress
from predictor.serving.opening import Opened
from predictor.serving.questions import Question
from predictor.serving.rating import rated_rows
from predictor.serving.writing import other_kind
from predictor.tasks.base import found_by
from predictor.tasks.scored.scale import scores_of
from predictor.tasks.scoring import Scoring


@dataclass(frozen=True)
class HeadRated:
    """What a head says of one row.

    Attributes:
        scores: dimension → score, within the range.
        cut: the text was longer than the model reads, and its end was left out.
    """

    scores: dict[str, float]
    cut: bool


@dataclass(frozen=True)
class HeadRating:
    """Rows to models with a head that gives scores, put as they were put in the fine-tune.

    Attributes:
        task: with the scale of the fine-tune.
    """

    task: Scoring
    answer: ClassVar[type[HeadRated]] = HeadRated

    def settings(self) -> dict[str, Any]:
        """The scale."""
        return {"scoring": found_by(self.task), "task": "scores of a head"}

    def ask(
        self,
        opened: Opened,
        questions: Mapping[str, Question],
        keep: Callable[[Mapping[str, HeadRated]], None],
        progress: Progress,
    ) -> dict[str, Rejection]:
        """Score rows; none comes back.

        Raises:
            ModelError: the model has no head that gives scores.
        """
        head = opened.classifier
        if head is None or opened.bounds is None:
            raise other_kind(f"{opened.name} has no head that gives scores, and the model before it has one")
        progress.stage(f"scores by {opened.name}", len(questions))
        keys = list(questions)
        examples = [_example(questions[key]) for key in keys]
        rows = read_texts(
            [self.task.rated(example) for example in examples],
            [NO_CLASS] * len(keys),
            keys,
            head.tokenizer,
            head.max_length,
            [self.task.asked(example) for example in examples],
        )

        def said(places: Sequence[int], shares: np.ndarray) -> None:
            scores = scores_of(shares, *opened.bounds)  # type: ignore[misc]
            keep(
                {
                    keys[place]: HeadRated(dict(zip(head.labels, map(float, of_row), strict=True)), rows[place].cut)
                    for place, of_row in zip(places, scores, strict=True)
                }
            )

        if rows:
            read_off(head.model, head.tokenizer, rows, lambda out: out, on_batch=progress.advance, on_rows=said)
        return {}

    def rows(self, questions: Sequence[Question], answers: Mapping[str, Sequence[HeadRated]]) -> list[dict[str, Any]]:
        """Id, input, given scores where rows have any, scores by dimension; of several models their scores."""
        return rated_rows(self.task, questions, answers, lambda only: {"cut": only.cut})

    def figures(self, questions: Sequence[Question], answers: Sequence[HeadRated]) -> dict[str, float]:
        """Where every row has scores, the mean absolute error of those (`mae`)."""
        given = [self.task.given(_example(question)) for question in questions]
        if not all(given):
            return {}
        off = [
            abs(answer.scores[name] - value)
            for answer, scores in zip(answers, given, strict=True)
            for name, value in scores.items()
        ]
        return {"mae": float(np.mean(off))}


def _example(question: Question) -> Example:
    assert question.example is not None  # rows that are rated are examples
    return question.example
