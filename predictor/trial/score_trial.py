"""A fine-tune of a model with a head that gives the scores of a text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np

from predictor.data.example import Example
from predictor.finetune.learning import Learning
from predictor.finetune.scores import ScoreLearning
from predictor.models.answers import Evaluation
from predictor.models.base_model import BaseModel
from predictor.models.reading import NO_CLASS, LabelledRow, read_texts
from predictor.models.scorer import told_shares
from predictor.tasks.scored.scale import scores_of
from predictor.tasks.scored.settings import HEADS
from predictor.tasks.scoring import Scoring
from predictor.trial.first_steps_of_scores import FirstStepsOfScores
from predictor.trial.head_trial import HeadTrial, chosen_metric


class ScoreTrial(HeadTrial):
    """One fine-tune for scoring with a head, or the probe that stands for it."""

    instead = "head=none"

    @property
    def task(self) -> Scoring:
        """The task, with the scale of the data."""
        return cast(Scoring, self.materials.task)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The dimensions."""
        return self.task.dimensions

    @property
    def head(self) -> str:
        """As the task's parameter says."""
        return HEADS[self.config.task.settings.head]

    @property
    def bounds(self) -> tuple[float, float]:
        """The range of the scores."""
        return self.task.bounds

    @cached_property
    def base(self) -> BaseModel:  # type: ignore[override]
        """The base model with a new head, which says in its configuration that its outputs are numbers."""
        base = super().base
        base.model.config.problem_type = "regression"
        return base

    def read(self, examples: Sequence[Example]) -> list[LabelledRow]:
        """Prompt and text, of which the text is cut where they are too long, with the shares of the scores."""
        task = self.task
        return read_texts(
            [task.rated(example) for example in examples],
            [NO_CLASS] * len(examples),
            [example.id for example in examples],
            self.base.tokenizer,
            self.most,
            [task.asked(example) for example in examples],
            [task.shares(example) for example in examples],
        )

    def _first_steps(self) -> FirstStepsOfScores:
        told = self.probe_steps, self.base, self.task.headline, self.dev_rows
        return FirstStepsOfScores(*told, self._scores_of_dev)

    def _learning(self) -> Learning:
        shares = np.array([row.scores for row in self.rows])
        known = np.isfinite(shares)
        # A dimension of which train_limit has left no row begins in the middle.
        means = np.where(known, shares, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        start = np.where(known.any(0), means, 0.5)
        metric = chosen_metric(self.config.task.settings.metric_for_best_model)
        return ScoreLearning(start.tolist(), scores=self._scores_of_dev, metric=metric)

    def _scores_of_dev(self, shares: np.ndarray) -> dict[str, float]:
        dev = self.materials.dev
        scores = self.task.score(self.task.answers_of(shares, dev), dev)
        return {name: scores.values[name] for name in ("closeness", "pearson", "spearman")}

    def _answers(self, model: Any, examples: Sequence[Example]) -> Evaluation:
        found = told_shares(model, self.base.tokenizer, self.read(examples), on_batch=self._progress.advance)
        answers = self.task.answers_of(found, examples)
        scores = scores_of(found, *self.bounds)
        columns = {f"score({name})": scores[:, place].tolist() for place, name in enumerate(self.outputs)}
        return Evaluation(self.task, examples, answers, [], self.task.score(answers, examples), columns)
