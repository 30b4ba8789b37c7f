"""How well a base model reads the lab's text before any fine-tune."""

from __future__ import annotations

from pathlib import Path

from predictor.lab.relations import BY_NAME
from predictor.lab.specification import evaluation_examples
from predictor.progress import SILENT, Progress
from predictor.tasks import TASKS


def reading_scores(folder: Path, progress: Progress = SILENT) -> dict[str, float]:
    """How the base model in `folder` answers the lab's evaluation without any fine-tune, as fractions.

    `exact_match` and `f1` score the answers as they are; `contains` is the share whose text holds the wanted value, so
    it measures reading apart from style, and `contains_met` is that over the questions of a kind met in pretraining.
    """
    from predictor.models.answers import evaluate
    from predictor.models.base_model import load_base_model
    from predictor.models.device import detect

    examples = evaluation_examples()
    base = load_base_model(str(folder), detect())
    evaluation = evaluate(base.model, base, TASKS.get("qa"), examples, progress)
    found = [example.answer in answer for example, answer in zip(examples, evaluation.answers, strict=True)]
    met = [
        hit
        for hit, example in zip(found, examples, strict=True)
        if example.extra["phrasing"] < BY_NAME[example.extra["relation"]].met
    ]
    return {**evaluation.scores.values, "contains": sum(found) / len(found), "contains_met": sum(met) / len(met)}
