"""What the train tier of the probe sees: the first steps of the very run that it stands for."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from predictor.data.example import Example
from predictor.models.answers import headline_score
from predictor.models.base_model import BaseModel
from predictor.models.render import RenderedRow
from predictor.probe import (
    FirstLook,
    Marks,
    Trace,
    answer_sequels,
    look_again,
    look_first,
    text_sequels,
)
from predictor.probe.batching import BATCH_TOKENS
from predictor.tasks.base import Task
from predictor.trial.watching import Watching


class FirstSteps(Watching):
    """Watches `steps` optimizer steps, then looks once at the development slice and at the everyday text.

    Args:
        dev: questions of the development slice, which are answered for the early score.
        dev_rows: those of them that fit, as token ids with their right answers, for all that is measured on these.
        pass_tokens: tokens of one forward and backward pass over them; those of a training step fit the device.
    """

    def __init__(
        self,
        steps: int,
        base: BaseModel,
        task: Task,
        dev: Sequence[Example],
        dev_rows: Sequence[RenderedRow] = (),
        pass_tokens: int = BATCH_TOKENS,
    ) -> None:
        super().__init__(steps)
        self._base = base
        self._task = task
        self._dev = dev
        self._dev_answers = answer_sequels(dev_rows)
        self._texts = text_sequels(base.tokenizer)
        self._pass_tokens = pass_tokens
        self._first_texts = self._first_dev = FirstLook()
        self._after: dict[str, float] = {}
        self._dev_after = Marks()

    def before_training(self, model: Any) -> None:
        """Remember the weights, and look at the everyday text on the untouched base."""
        self._started = time.perf_counter()
        with self._own_work():
            self._recorder.snapshot(model)
            # A fresh adapter adds nothing yet: this is what the untouched base says.
            self._first_texts = look_first(model, self._base.tokenizer, self._texts)
            with self._for_dev():
                self._first_dev = look_first(
                    model,
                    self._base.tokenizer,
                    self._dev_answers,
                    batch_tokens=self._pass_tokens,
                    on_gradient=lambda: self._recorder.observe_dev_gradient(model),
                )

    def after_step(self, model: Any, loss: float, grad_norm: float) -> None:
        """Note the step; after the last one, score the development slice and look at the everyday text again."""
        with self._own_work():
            self._recorder.observe_step(loss, grad_norm)
            if self._recorder.full:
                self._recorder.finish(model)
                self._look_at_texts(model)
                with self._for_dev():
                    self._look_at_dev(model)
        self._tick()

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tensors by name and JSON values: the recorder's, what was measured, the scores and the seconds so far.

        Of weights that are trained themselves also what the base said, 64 MB at most.
        """
        tensors, recorder = self._recorder.state()
        looks = {"texts": self._first_texts, "dev": self._first_dev}
        for name, look in looks.items():
            if look.log_probabilities is not None:
                tensors[f"first/{name}"] = look.log_probabilities
        return tensors, {
            "recorder": recorder,
            **self._spent(),
            "first": {name: [look.loss, look.stride] for name, look in looks.items()},
            "after": self._after,
            "dev_after": dataclasses.asdict(self._dev_after),
        }

    def restore(self, tensors: dict[str, Any], values: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self._recorder.restore(tensors, values["recorder"])
        self._first_texts, self._first_dev = (
            FirstLook(loss, tensors[f"first/{name}"].cpu() if f"first/{name}" in tensors else None, stride)
            for name, (loss, stride) in ((name, values["first"][name]) for name in ("texts", "dev"))
        )
        self._after = dict(values["after"])
        self._dev_after = Marks(**values["dev_after"])
        self._go_on(values)

    def trace(self) -> Trace:
        """What was seen, for the features of the train tier."""
        return self._recorder.trace(
            generic_loss_before=self._first_texts.loss,
            dev_loss_before=self._first_dev.loss,
            dev_after=self._dev_after,
            **self._after,
        )

    def _look_at_texts(self, model: Any) -> None:
        if self._texts:
            seen = look_again(model, self._base.tokenizer, self._texts, self._first_texts)
            self._after["generic_loss_after"] = float(np.concatenate(seen.losses).mean())
            self._after["generic_divergence"] = seen.divergence
            self._first_texts = dataclasses.replace(self._first_texts, log_probabilities=None)

    def _look_at_dev(self, model: Any) -> None:
        if self._dev_answers:
            seen = look_again(
                model, self._base.tokenizer, self._dev_answers, self._first_dev, batch_tokens=self._pass_tokens
            )
            self._dev_after = Marks.of(seen.losses, seen.hits)
            self._after["dev_divergence"] = seen.divergence
            self._first_dev = dataclasses.replace(self._first_dev, log_probabilities=None)
        if self._dev:
            early = headline_score(model, self._base, self._task, self._dev)
            self.scores[f"early_{self._task.headline}"] = early
