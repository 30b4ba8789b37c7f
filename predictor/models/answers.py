"""A model's answers to questions, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from predictor.data.example import Example
from predictor.models.base_model import BaseModel
from predictor.models.generate import generate
from predictor.models.render import render_prompts
from predictor.progress import SILENT, Progress
from predictor.tasks import Task, TaskScores, reported


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
    """Greedy answers of `model` (the base or a tuned one) to each example, scored by the task."""
    prompts = render_prompts(examples, task, base.tokenizer)
    ids = generate(
        model, base.tokenizer, prompts, max_new_tokens=task.max_new_tokens, on_batch=lambda rows: progress.advance(rows)
    )
    answers = [task.parse(text) for text in base.tokenizer.batch_decode(ids, skip_special_tokens=True)]
    return Evaluation(task, examples, answers, ids, task.score(answers, examples))
