"""A fine-tune of a model with a head: what is different from one that learns to write answers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from predictor.data.example import Example
from predictor.errors import ConfigError
from predictor.finetune.methods import METHODS, quantization_of
from predictor.finetune.train import Tuned
from predictor.models.base_model import BaseModel
from predictor.models.classifier import limit_of, save_classifier
from predictor.models.device import detect
from predictor.models.head import is_decoder, load_classifier
from predictor.models.quantization import Quantization
from predictor.models.reading import LabelledRow
from predictor.progress import SILENT, Progress
from predictor.trial.config import FinetuneConfig
from predictor.trial.measured import Features
from predictor.trial.sources import ready_base
from predictor.trial.trial import Trial


class HeadTrial(Trial):
    """One fine-tune of a decoder or an encoder with a head, or the probe that stands for it.

    What the head's outputs mean, a trial for a kind of head says. The tier `forward` has nothing to say of it: what can
    be told of the texts before any training, the linear model of the tier `embed` tells.

    Attributes:
        instead: what lets a model write its answers, for messages.
    """

    instead: ClassVar[str]

    def __init__(self, config: FinetuneConfig, progress: Progress = SILENT) -> None:
        if config.data.replay:
            raise ConfigError(
                "a model with a head replays nothing",
                where="-P replay",
                rule="replay mixes in rows whose answers are written; a head has nothing to say to them",
                fix=f"leave replay out, or use {self.instead}",
            )
        super().__init__(config, progress)

    # what a kind of head says

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the head's outputs are called, in their order."""
        raise NotImplementedError

    @property
    def head(self) -> str:
        """What stands on the model: `mlp` or `linear`."""
        raise NotImplementedError

    @property
    def template(self) -> str:
        """What stands around each text, with `{text}` and perhaps `{class_labels}`; empty for nothing."""
        return ""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """The lowest and the highest score; None of a head that says classes."""
        return None

    def read(self, examples: Sequence[Example]) -> list[LabelledRow]:
        """Examples as token ids, with what is learnt of them."""
        raise NotImplementedError

    # what follows from it

    @cached_property
    def base(self) -> BaseModel:  # type: ignore[override]
        """The base model with a new head, loaded when it is first needed."""
        source = ready_base(self.config.model.base_model, self._progress, kind=self.config.base_kind)
        self._progress.stage("load the base model")
        with self.watch.part("load"):
            return load_classifier(source, detect(), self.outputs, self.head, self._quantization)

    @property
    def bare(self) -> bool:
        """Whether the model reads texts without a question around them, as encoders do."""
        return not is_decoder(self.base.model)

    @property
    def most(self) -> int:
        """Tokens of a text that are read; the rest is cut off."""
        base = self.base
        return limit_of(base.model.config, base.tokenizer, self.hp.training.max_length)

    @property
    def _quantization(self) -> Quantization | None:
        return quantization_of(self.hp.method.name, self.hp.method.settings)

    @property
    def _loaded(self) -> BaseModel | None:
        return self.__dict__.get("base")

    @cached_property
    def rows(self) -> list[LabelledRow]:  # type: ignore[override]
        """The training rows as token ids; longer texts are cut, which is said."""
        rows = self.read(self.materials.train)
        if cut := sum(row.cut for row in rows):
            self._progress.note(f"{cut} of {len(rows)} texts exceed {self.most} tokens; their ends are not read")
        return rows

    @cached_property
    def described(self) -> tuple[Example, ...]:
        """The rows that the features describe: all, since none is refused for its length."""
        return self.materials.train

    @cached_property
    def dev_rows(self) -> list[LabelledRow]:  # type: ignore[override]
        """The development slice as token ids."""
        return self.read(self.materials.dev)

    @property
    def _evaluations(self) -> int:
        return round(self.hp.training.epochs)

    def save(self, tuned: Tuned, folder: Path) -> None:
        """Write weights, head, tokenizer and what the outputs mean into a folder of their own in `folder`."""
        super().save(tuned, folder)
        save_classifier(
            tuned.model,
            self.base.tokenizer,
            folder / METHODS.get(self.hp.method.name).folder,
            self.head,
            self.template,
            self._quantization,
            max_length=self.most,
            bounds=self.bounds,
        )

    def _forward(self, base: BaseModel) -> Features:
        return {}


def chosen_metric(name: str) -> str | None:
    """By which evaluations the outcome is chosen; None where the parameter says `none`."""
    return None if name == "none" else name
