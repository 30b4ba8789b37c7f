"""What every watcher of first steps has: the recorder, and the seconds that looking took."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from predictor.probe import ProbeRecorder


class Watching:
    """Watches `steps` optimizer steps.

    Attributes:
        scores: `early_<headline>` on the development slice, when there is one.
        seconds: from the first gradient to the end of the last look, training included.
        own_seconds: the part of it that a fine-tune without a probe would not have spent.
        dev_seconds: the part of that which the development slice took.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.scores: dict[str, float] = {}
        self.seconds = self.own_seconds = self.dev_seconds = 0.0
        self._recorder = ProbeRecorder(steps)
        self._started: float | None = None

    def before_optimizer_step(self, model: Any) -> None:
        """Hand the step's gradients to the recorder."""
        with self._own_work():
            self._recorder.observe_gradients(model)

    def _spent(self) -> dict[str, Any]:
        """Scores and seconds so far, for a checkpoint."""
        names = ("scores", "seconds", "own_seconds", "dev_seconds")
        return {name: getattr(self, name) for name in names}

    def _go_on(self, values: Mapping[str, Any]) -> None:
        """Go on where :meth:`_spent` was taken. The seconds between a break and going on are nobody's."""
        self.scores = dict(values["scores"])
        self.seconds, self.own_seconds = values["seconds"], values["own_seconds"]
        self.dev_seconds = values["dev_seconds"]
        self._started = time.perf_counter() - self.seconds

    def _tick(self) -> None:
        if self._started is not None:
            self.seconds = time.perf_counter() - self._started

    @contextmanager
    def _for_dev(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.dev_seconds += time.perf_counter() - started

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
