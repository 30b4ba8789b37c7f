"""What a fine-tune has to show for itself, over all its breaks: the points of its curves and its seconds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence

from predictor.finetune.watch import OnLog


class Ledger:
    """Points of the curves, passed on as they come, and seconds.

    Args:
        on_log: gets every point of the curves: those before the break first, then the new ones.

    Attributes:
        points: optimizer step and values, in the order of the steps.
        writing_seconds: that checkpoints took in this process.
    """

    def __init__(self, on_log: OnLog) -> None:
        self.points: list[tuple[int, dict[str, float]]] = []
        self.writing_seconds = 0.0
        self._on_log = on_log
        self._before = 0.0
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Of training up to now, those before the break included, without the writing of checkpoints."""
        return self._before + time.perf_counter() - self._started - self.writing_seconds

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """A new point of the curves."""
        self.points.append((step, dict(values)))
        self._on_log(step, values)

    def go_on(self, points: Sequence[tuple[int, Mapping[str, float]]], seconds: float) -> None:
        """Take over what was written down before a break."""
        self._before = seconds
        for step, values in points:
            self.point(step, values)

    def start(self) -> None:
        """The training begins now."""
        self._started = time.perf_counter()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """What happens within is the writing of a checkpoint."""
        started = time.perf_counter()
        yield
        self.writing_seconds += time.perf_counter() - started
