"""Predicted classes against the right ones, as the scores that a task reports."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from predictor.metrics.classification import UNKNOWN, codes, confusion, macro
from predictor.tasks.base import TaskScores

__all__ = ["class_scores", "codes"]


def class_scores(truth: Sequence[str], answers: Sequence[str], labels: Sequence[str]) -> TaskScores:
    """Accuracy, the macro averages and the share of answers that name no class."""
    right, said = codes(truth, labels), codes(answers, labels)
    hits, unnamed = (right == said).astype(float), (said == UNKNOWN).astype(float)

    def averaged(which: int) -> Callable[[np.ndarray], float]:
        return lambda rows: macro(confusion(right[rows], said[rows], len(labels)))[which]

    resample = {f"macro_{name}": averaged(which) for which, name in enumerate(("precision", "recall", "f1"))}
    everything = np.arange(len(right))
    values = {"accuracy": float(hits.mean()), **{name: statistic(everything) for name, statistic in resample.items()}}
    rows = {"accuracy": hits.tolist()}
    if unnamed.any():
        values["unnamed"], rows["unnamed"] = float(unnamed.mean()), unnamed.tolist()
    return TaskScores(values, rows, resample)
