"""A model's answers to questions, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from predictor.data.example import Example
from predictor.models.base_model import BaseModel
from predictor.models.generate import generate
from predictor.models.render import render_prompts, render_rows
from predictor.probe import answer_sequels
from predictor.probe.batching import pad_id_of
from predictor.probe.scoring import sequel_losses
from predictor.progress import SILENT, Progress
from predictor.tasks import Task, TaskScores, reported
from predictor.tasks.base import reads_references


@dataclass(frozen=True)
class Evaluation:
    """Answers (parsed, and as token ids) to the examples in their order, with their scores by the task.

    Attributes:
        more: further columns of the table, each with a value for every example.
    """

    task: Task
    examples: Sequence[Example]
    answers: Sequence[str]
    answer_ids: Sequence[list[int]]
    scores: TaskScores
    more: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """The scores, the number of questions `n`, and the standard errors by the rules of the task's targets."""
        return reported(self.task, self.scores, len(self.examples))

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows for a person, as the task shows a question."""
        numbers = self.scores.rows
        rows = [
            self.task.row(example, answer, {name: values[i] for name, values in numbers.items()})
            | {name: values[i] for name, values in self.more.items()}
            for i, (example, answer) in enumerate(zip(self.examples, self.answers, strict=True))
        ]
        return list(rows[0]) if rows else [], [list(row.values()) for row in rows]


def evaluate(
    model: Any, base: BaseModel, task: Task, examples: Sequence[Example], progress: Progress = SILENT
) -> Evaluation:
    """Greedy answers of `model` (the base or a tuned one) to each example, scored by the task.

    A task that asks for them also gets the model's losses on the right answers.
    """
    prompts = render_prompts(examples, task, base.tokenizer)
    ids = generate(
        model, base.tokenizer, prompts, max_new_tokens=task.max_new_tokens, on_batch=lambda rows: progress.advance(rows)
    )
    answers = [task.parse(text) for text in base.tokenizer.batch_decode(ids, skip_special_tokens=True)]
    scores = task.score(answers, examples)
    if (reader := reads_references(task)) is not None:
        scores = scores.joined(reader.score_references(reference_losses(model, base, task, examples), examples))
    return Evaluation(task, examples, answers, ids, scores)


def headline_score(model: Any, base: BaseModel, task: Task, examples: Sequence[Example]) -> float:
    """The headline of :func:`evaluate`. Nothing is generated where it follows from the right answers alone."""
    reader = reads_references(task)
    if reader is not None and task.headline in reader.from_references:
        losses = reference_losses(model, base, task, examples)
        return reader.score_references(losses, examples).values[task.headline]
    return evaluate(model, base, task, examples).scores.values[task.headline]


def reference_losses(model: Any, base: BaseModel, task: Task, examples: Sequence[Example]) -> list[np.ndarray]:
    """The losses of the tokens that each example's row would teach, in nats, shape (tokens,) each.

    Teacher forced: each token is judged after the right ones before it.
    """
    rows = render_rows(examples, task, base.tokenizer)
    return [nll for nll, _ in sequel_losses(model, answer_sequels(rows), pad_id=pad_id_of(base.tokenizer))]
