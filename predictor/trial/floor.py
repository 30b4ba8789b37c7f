"""What a ridge, learnt from the training rows, reaches on the scored questions of a task that asks for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from predictor.data.split import group_of
from predictor.probe import Encoder
from predictor.probe.floor import ridge_floor
from predictor.tasks import TaskScores
from predictor.trial.materials import Materials


def floor_of(materials: Materials) -> TaskScores:
    """The scores of the ridge's numbers, by each part of the task that has training rows."""
    m, encoder = materials, Encoder()
    task: Any = m.task
    learnt, asked = task.numbers(m.train), task.numbers(m.scored)
    texts, unseen = ([example.context or example.question or "" for example in rows] for rows in (m.train, m.scored))
    predicted: dict[str, np.ndarray] = {}
    for part, (places, values) in learnt.items():
        if part in asked:
            predicted[part] = ridge_floor(
                [texts[place] for place in places],
                values,
                [group_of(m.train[place]) for place in places],
                [unseen[place] for place in asked[part][0]],
                encoder,
            )
    scores: TaskScores = task.floor_scores(predicted, m.scored)
    return scores
