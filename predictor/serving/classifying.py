"""Models with a head: texts in, the class of each and the probability of every class out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from predictor.data.rejection import Rejection
from predictor.models.reading import class_probabilities
from predictor.progress import Progress
from predictor.serving.opening import Opened
from predictor.serving.questions import Question
from predictor.serving.writing import other_kind, refusal


@dataclass(frozen=True)
class Classed:
    """What a classifier says of one text.

    Attributes:
        label: the likeliest class. probabilities: of every class, by name.
        cut: the text was longer than the model reads, and its end was left out.
    """

    label: str
    probabilities: dict[str, float]
    cut: bool


@dataclass(frozen=True)
class Classifying:
    """Texts to classifiers; each of them puts a text as it was put in its training."""

    answer: ClassVar[type[Classed]] = Classed

    def settings(self) -> dict[str, Any]:
        """Nothing beside the model: template and length are the classifier's own."""
        return {"task": "classes"}

    def ask(
        self,
        opened: Opened,
        questions: Mapping[str, Question],
        keep: Callable[[Mapping[str, Classed]], None],
        progress: Progress,
    ) -> dict[str, Rejection]:
        """Classify texts; those of which the tokenizer leaves nothing come back.

        Raises:
            ModelError: the model has no head.
        """
        classifier = opened.classifier
        if classifier is None:
            raise other_kind(f"{opened.name} writes answers, and the model before it says classes")
        progress.stage(f"classes by {opened.name}", len(questions))
        keys = list(questions)
        read = classifier.rows([questions[key].shown for key in keys])
        refused = {
            key: refusal(questions[key], opened, "empty_prompt", "a text of at least one token", "no token")
            for key, row in zip(keys, read, strict=True)
            if not row.length
        }
        rows = {key: row for key, row in zip(keys, read, strict=True) if row.length}
        order = list(rows)

        def said(places: Sequence[int], probabilities: np.ndarray) -> None:
            made = {}
            for place, values in zip(places, probabilities, strict=True):
                named = dict(zip(classifier.labels, map(float, values), strict=True))
                made[order[place]] = Classed(classifier.labels[int(values.argmax())], named, rows[order[place]].cut)
            keep(made)

        if rows:
            class_probabilities(
                classifier.model, classifier.tokenizer, list(rows.values()), on_batch=progress.advance, on_rows=said
            )
        return refused

    def rows(self, questions: Sequence[Question], answers: Mapping[str, Sequence[Classed]]) -> list[dict[str, Any]]:
        """Id, text, its label where rows have one, answer and p(CLASS); of several classifiers the answers."""
        labelled = any(question.label for question in questions)
        made = []
        for place, question in enumerate(questions):
            row: dict[str, Any] = {"id": question.id, "text": question.shown}
            if labelled:
                row["label"] = question.label or None
            said = {name: of_model[place] for name, of_model in answers.items()}
            if len(said) == 1:
                [only] = said.values()
                probabilities = {f"p({label})": value for label, value in only.probabilities.items()}
                made.append({**row, "answer": only.label, **probabilities, "cut": only.cut})
            else:
                row |= {f"answer of {name}": each.label for name, each in said.items()}
                made.append({**row, "same": len({each.label for each in said.values()}) == 1})
        return made

    def figures(self, questions: Sequence[Question], answers: Sequence[Classed]) -> dict[str, float]:
        """Accuracy, where every row has a label."""
        if not all(question.label for question in questions):
            return {}
        pairs = zip(questions, answers, strict=True)
        return {"accuracy": float(np.mean([answer.label == question.label for question, answer in pairs]))}
