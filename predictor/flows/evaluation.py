"""Scores of a model on questions, and the table of its answers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.data.example import Example
from predictor.finetune.base_model import BaseModel
from predictor.finetune.generate import generate
from predictor.finetune.render import render_prompts
from predictor.progress import SILENT, Progress
from predictor.tasks.base import Task, TaskScores

PREDICTIONS_FILE = "predictions.json"


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


def write_predictions(folder: Path, evaluation: Evaluation) -> dict[str, str]:
    """The answers as a table that the MLflow UI shows.

    Returns:
        The tag by which the UI finds the table.
    """
    names = list(evaluation.scores.rows)
    data = [
        [
            example.question or example.text or "",
            answer,
            list(example.answers),
            *(evaluation.scores.rows[n][i] for n in names),
        ]
        for i, (example, answer) in enumerate(zip(evaluation.examples, evaluation.answers, strict=True))
    ]
    short = {"exact_match": "em"}
    table = {"columns": ["question", "answer", "references", *(short.get(n, n) for n in names)], "data": data}
    (folder / PREDICTIONS_FILE).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    return {"mlflow.loggedArtifacts": json.dumps([{"path": PREDICTIONS_FILE, "type": "table"}])}
