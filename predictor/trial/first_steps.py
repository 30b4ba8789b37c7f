"""What the train tier of the probe sees: the first steps of the very run that it stands for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from predictor.data.example import Example
from predictor.models.answers import evaluate
from predictor.models.base_model import BaseModel
from predictor.probe import ProbeRecorder, Trace, text_loss
from predictor.tasks.base import Task


class FirstSteps:
    """Watches `steps` optimizer steps, then scores the development slice and the everyday text once.

    Attributes:
        scores: `early_<headline>` on the development slice, when there is one.
        seconds: from the first gradient to the end of the last look, training included.
        own_seconds: the part of it that a fine-tune without a probe would not have spent.
    """

    def __init__(self, steps: int, base: BaseModel, task: Task, dev: Sequence[Example]) -> None:
        self.steps = steps
        self.scores: dict[str, float] = {}
        self.seconds = 0.0
        self.own_seconds = 0.0
        self._base = base
        self._task = task
        self._dev = dev
        self._recorder = ProbeRecorder(steps)
        self._generic_before = float("nan")
        self._generic_after = float("nan")
        self._started: float | None = None

    def before_training(self, model: Any) -> None:
        self._started = time.perf_counter()
        with self._own_work():
            self._recorder.snapshot(model)
            # A fresh adapter adds nothing yet: this is the loss of the untouched base.
            self._generic_before = text_loss(model, self._base.tokenizer)

    def before_optimizer_step(self, model: Any) -> None:
        with self._own_work():
            self._recorder.observe_gradients(model)

    def after_step(self, model: Any, loss: float, grad_norm: float) -> None:
        with self._own_work():
            self._recorder.observe_step(loss, grad_norm)
            if self._recorder.full:
                self._recorder.finish(model)
                self._generic_after = text_loss(model, self._base.tokenizer)
                if self._dev:
                    early = evaluate(model, self._base, self._task, self._dev)
                    self.scores[f"early_{self._task.headline}"] = early.scores.values[self._task.headline]
        if self._started is not None:
            self.seconds = time.perf_counter() - self._started

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tensors by name and JSON values: the recorder's, the losses, the scores and the seconds so far."""
        tensors, recorder = self._recorder.state()
        return tensors, {
            "recorder": recorder,
            "scores": self.scores,
            "seconds": self.seconds,
            "own_seconds": self.own_seconds,
            "generic_before": self._generic_before,
            "generic_after": self._generic_after,
        }

    def restore(self, tensors: dict[str, Any], values: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken. The seconds between a break and going on are nobody's."""
        self._recorder.restore(tensors, values["recorder"])
        self.scores = dict(values["scores"])
        self.seconds, self.own_seconds = values["seconds"], values["own_seconds"]
        self._generic_before, self._generic_after = values["generic_before"], values["generic_after"]
        self._started = time.perf_counter() - self.seconds

    def trace(self) -> Trace:
        return self._recorder.trace(generic_loss_before=self._generic_before, generic_loss_after=self._generic_after)

    @contextmanager
    def _own_work(self) -> Iterator[None]:
        # Looking must not change what is looked at: dropout draws the same numbers with and without a probe.
        import torch

        started = time.perf_counter()
        state = torch.get_rng_state()
        try:
            yield
        finally:
            torch.set_rng_state(state)
            self.own_seconds += time.perf_counter() - started
