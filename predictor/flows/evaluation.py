"""Scores of a model on questions, and the table of its answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.data.example import Example
from predictor.finetune.base_model import BaseModel
from predictor.finetune.generate import generate
from predictor.finetune.render import render_prompts
from predictor.progress import SILENT, Progress
from predictor.tasks.base import Task, TaskScores, reported

PREDICTIONS_FILE = "predictions.json"


@dataclass(frozen=True)
class Evaluation:
    """Answers (parsed, and as token ids) to the examples in their order, with their scores by the task."""

    task: Task
    examples: Sequence[Example]
    answers: Sequence[str]
    answer_ids: Sequence[list[int]]
    scores: TaskScores

    def metrics(self) -> dict[str, float]:
        """The scores, the number of questions `n`, and the standard errors by the rules of the task's targets."""
        return reported(self.task, self.scores, len(self.examples))


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


def write_predictions(folder: Path, evaluation: Evaluation) -> dict[str, str]:
    """The answers as a table that the MLflow UI shows.

    Returns:
        The tag by which the UI finds the table.
    """
    scores = evaluation.scores.rows
    rows = [
        evaluation.task.row(example, answer, {name: values[i] for name, values in scores.items()})
        for i, (example, answer) in enumerate(zip(evaluation.examples, evaluation.answers, strict=True))
    ]
    table = {"columns": list(rows[0]) if rows else [], "data": [list(row.values()) for row in rows]}
    (folder / PREDICTIONS_FILE).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
    return {"mlflow.loggedArtifacts": json.dumps([{"path": PREDICTIONS_FILE, "type": "table"}])}
