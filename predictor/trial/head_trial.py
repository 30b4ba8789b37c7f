"""A fine-tune of a model with a head: what is different from one that learns to write answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from predictor.data.example import Example
from predictor.errors import ConfigError
from predictor.finetune.classes import Classes
from predictor.finetune.learning import Learning
from predictor.finetune.methods import METHODS, quantization_of
from predictor.finetune.train import Tuned
from predictor.models.answers import Evaluation
from predictor.models.base_model import BaseModel
from predictor.models.classifier import (
    LabelledRow,
    class_probabilities,
    is_decoder,
    limit_of,
    load_classifier,
    read_texts,
    save_classifier,
)
from predictor.models.device import detect
from predictor.models.quantization import Quantization
from predictor.progress import SILENT, Progress
from predictor.tasks.class_scores import class_scores, codes
from predictor.tasks.classification import OFF, TEMPLATE, Classification
from predictor.trial.config import FinetuneConfig
from predictor.trial.first_steps_of_classes import FirstStepsOfClasses
from predictor.trial.measured import Features
from predictor.trial.sources import ready_base
from predictor.trial.trial import Trial


class HeadTrial(Trial):
    """One fine-tune of a decoder or an encoder with a head for classification, or the probe that stands for it.

    The tier `forward` has nothing to say of it: what can be told of the texts before any training, the linear model of
    the tier `embed` tells.
    """

    def __init__(self, config: FinetuneConfig, progress: Progress = SILENT) -> None:
        if config.data.replay:
            raise ConfigError(
                "a model with a head replays nothing",
                where="-P replay",
                rule="replay mixes in rows whose answers are written; a head has nothing to say to them",
                fix="leave replay out, or use method=sft",
            )
        super().__init__(config, progress)

    @property
    def task(self) -> Classification:
        """The task, with the classes of the data."""
        return cast(Classification, self.materials.task)

    @cached_property
    def base(self) -> BaseModel:  # type: ignore[override]
        """The base model with a new head, loaded when it is first needed."""
        source = ready_base(self.config.model.base_model, self._progress, kind=self.config.base_kind)
        self._progress.stage("load the base model")
        with self.watch.part("load"):
            return load_classifier(source, detect(), self.labels, self.task.options.head, self._quantization)

    @property
    def _quantization(self) -> Quantization | None:
        return quantization_of(self.hp.method.name, self.hp.method.settings)

    @property
    def _loaded(self) -> BaseModel | None:
        return self.__dict__.get("base")

    @cached_property
    def rows(self) -> list[LabelledRow]:  # type: ignore[override]
        """The training rows as token ids; longer texts are cut, which is said."""
        rows = self._read(self.materials.train)
        if cut := sum(row.cut for row in rows):
            self._progress.note(f"{cut} of {len(rows)} texts exceed {self._most} tokens; their ends are not read")
        return rows

    @cached_property
    def described(self) -> tuple[Example, ...]:
        """The rows that the features describe: all, since none is refused for its length."""
        return self.materials.train

    @cached_property
    def dev_rows(self) -> list[LabelledRow]:  # type: ignore[override]
        """The development slice as token ids."""
        return self._read(self.materials.dev)

    @property
    def _evaluations(self) -> int:
        return round(self.hp.training.epochs)

    def save(self, tuned: Tuned, folder: Path) -> None:
        """Write weights, head, tokenizer, labels and template into a folder of their own in `folder`."""
        super().save(tuned, folder)
        options = self.task.options
        template = options.prompt_template or (TEMPLATE if is_decoder(tuned.model) else OFF)
        into = folder / METHODS.get(self.hp.method.name).folder
        template = "" if template == OFF else template
        save_classifier(tuned.model, self.base.tokenizer, into, options.head, template, self._quantization, self._most)

    @property
    def _most(self) -> int:
        base = self.base
        return limit_of(base.model.config, base.tokenizer, self.hp.training.max_length)

    def _read(self, examples: Sequence[Example]) -> list[LabelledRow]:
        base, task = self.base, self.task
        bare = not is_decoder(base.model)
        texts = [task.plain_text(example) for example in examples]
        around = [task.asked(example, bare=bare) for example in examples]
        return read_texts(
            texts,
            codes([task.target(example) for example in examples], self.labels).tolist(),
            [example.id for example in examples],
            base.tokenizer,
            self._most,
            None if around == texts else around,
        )

    def _forward(self, base: BaseModel) -> Features:
        return {}

    def _first_steps(self) -> FirstStepsOfClasses:
        return FirstStepsOfClasses(self.probe_steps, self.base, self.task.headline, self.dev_rows)

    def _learning(self) -> Learning:
        options = self.task.options
        metric = None if options.metric_for_best_model == "none" else options.metric_for_best_model
        return Classes(
            len(self.labels), balanced=options.class_weights == "balanced", scores=self._scores_of_dev, metric=metric
        )

    def _scores_of_dev(self, probabilities: np.ndarray) -> dict[str, float]:
        dev = self.materials.dev
        scores = class_scores([self.task.target(example) for example in dev], self._named(probabilities), self.labels)
        return {name: scores.values[name] for name in ("accuracy", "macro_f1")}

    def _answers(self, model: Any, examples: Sequence[Example]) -> Evaluation:
        rows = self._read(examples)
        found = class_probabilities(model, self.base.tokenizer, rows, on_batch=self._progress.advance)
        answers = self._named(found)
        columns = {f"p({label})": found[:, place].tolist() for place, label in enumerate(self.labels)}
        return Evaluation(self.task, examples, answers, [], self.task.score(answers, examples), columns)

    def _named(self, probabilities: np.ndarray) -> list[str]:
        return [self.labels[place] for place in probabilities.argmax(1)]
