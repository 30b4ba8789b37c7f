"""A model's answers to questions, and their scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from predictor.data.example import Example
from predictor.models.base_model import BaseModel
from predictor.models.generate import generate
from predictor.models.render import render_prompts
from predictor.progress import SILENT, Progress
from predictor.tasks.base import Task, TaskScores


@dataclass(frozen=True)
class Evaluation:
    """Answers (parsed, and as token ids) to the examples in their order, with their scores."""

    examples: Sequence[Example]
    answers: Sequence[str]
    answer_ids: Sequence[list[int]]
    scores: TaskScores

    def metrics(self, headline: str) -> dict[str, float]:
        """Mean scores, the number of questions `n`, and the headline's standard error √(p(1−p)/n)."""
        n = len(self.examples)
        p = self.scores.mean[headline]
        return {**self.scores.mean, "n": float(n), f"{headline}_se": math.sqrt(p * (1.0 - p) / n)}

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows for a person: question, answer, references and scores of each example."""
        names = list(self.scores.rows)
        short = {"exact_match": "em"}
        rows = [
            [
                example.question or example.text or "",
                answer,
                list(example.answers),
                *(self.scores.rows[name][i] for name in names),
            ]
            for i, (example, answer) in enumerate(zip(self.examples, self.answers, strict=True))
        ]
        return ["question", "answer", "references", *(short.get(name, name) for name in names)], rows


def evaluate(
    model: Any, base: BaseModel, task: Task, examples: Sequence[Example], progress: Progress = SILENT
) -> Evaluation:
    """Greedy answers of `model` (the base or a tuned one) to each example, scored by the task."""
    prompts = render_prompts(examples, task, base.tokenizer)
    ids = generate(
        model, base.tokenizer, prompts, max_new_tokens=task.max_new_tokens, on_batch=lambda rows: progress.advance(rows)
    )
    answers = [task.parse(text) for text in base.tokenizer.batch_decode(ids, skip_special_tokens=True)]
    return Evaluation(examples, answers, ids, task.score(answers, examples))
