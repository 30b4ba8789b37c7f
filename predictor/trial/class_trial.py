"""A fine-tune of a model with a head that says which class a text belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from predictor.data.example import Example
from predictor.finetune.classes import Classes
from predictor.finetune.learning import Learning
from predictor.models.answers import Evaluation
from predictor.models.reading import LabelledRow, class_probabilities, read_texts
from predictor.tasks.class_scores import class_scores, codes
from predictor.tasks.classification import OFF, TEMPLATE, Classification
from predictor.trial.first_steps_of_classes import FirstStepsOfClasses
from predictor.trial.head_trial import HeadTrial, chosen_metric


class ClassTrial(HeadTrial):
    """One fine-tune for classification with a head, or the probe that stands for it."""

    instead = "method=sft"

    @property
    def task(self) -> Classification:
        """The task, with the classes of the data."""
        return cast(Classification, self.materials.task)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The classes."""
        return self.labels

    @property
    def head(self) -> str:
        """As the task's parameter says."""
        return self.task.options.head

    @property
    def template(self) -> str:
        """The user's, or a question for decoders."""
        template = self.task.options.prompt_template or (OFF if self.bare else TEMPLATE)
        return "" if template == OFF else template

    def read(self, examples: Sequence[Example]) -> list[LabelledRow]:
        """Texts in the template, with their classes."""
        task, bare = self.task, self.bare
        texts = [task.plain_text(example) for example in examples]
        around = [task.asked(example, bare=bare) for example in examples]
        return read_texts(
            texts,
            codes([task.target(example) for example in examples], self.labels).tolist(),
            [example.id for example in examples],
            self.base.tokenizer,
            self.most,
            None if around == texts else around,
        )

    def _first_steps(self) -> FirstStepsOfClasses:
        return FirstStepsOfClasses(self.probe_steps, self.base, self.task.headline, self.dev_rows)

    def _learning(self) -> Learning:
        options = self.task.options
        metric = chosen_metric(options.metric_for_best_model)
        balanced = options.class_weights == "balanced"
        return Classes(len(self.labels), balanced=balanced, scores=self._scores_of_dev, metric=metric)

    def _scores_of_dev(self, probabilities: np.ndarray) -> dict[str, float]:
        dev = self.materials.dev
        scores = class_scores([self.task.target(example) for example in dev], self._named(probabilities), self.labels)
        return {name: scores.values[name] for name in ("accuracy", "macro_f1")}

    def _answers(self, model: Any, examples: Sequence[Example]) -> Evaluation:
        rows = self.read(examples)
        found = class_probabilities(model, self.base.tokenizer, rows, on_batch=self._progress.advance)
        answers = self._named(found)
        columns = {f"p({label})": found[:, place].tolist() for place, label in enumerate(self.labels)}
        return Evaluation(self.task, examples, answers, [], self.task.score(answers, examples), columns)

    def _named(self, probabilities: np.ndarray) -> list[str]:
        return [self.labels[place] for place in probabilities.argmax(1)]
