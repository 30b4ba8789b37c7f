"""A training as a person follows it: one line of where it is, a log, and a word when the loss goes wrong."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

LOG: Final = "training.log"
"""The file among a run's artifacts."""
_EVERY_S: Final = 10.0
"""Seconds from one line on the screen to the next."""
_MOST_LINES: Final = 2000
"""Lines of the log, about: of a longer training only each k-th step has one."""
_RECENT: Final = 5
"""Steps whose mean loss is looked at."""
_REPLAYED_S: Final = 1e-3
"""A point that follows so soon is one of a checkpoint, told again."""


class LossWatch:
    """Says once when the loss explodes, and once when it stalls, each until it gets better.

    It explodes when the mean of five steps is twice the lowest such mean and half a nat above it. It stalls when for a
    fifth of the steps (20 at least) no mean was lower by one per cent.
    """

    def __init__(self, steps: int) -> None:
        self._patience = max(20, steps // 5)
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._lowest, self._lowest_step = math.inf, 0
        self._exploded = self._stalled = False

    def look(self, step: int, loss: float) -> str | None:
        """What is to be said of the loss at a step; None nearly always."""
        self._recent.append(loss)
        if len(self._recent) < _RECENT:
            return None
        mean = sum(self._recent) / _RECENT
        if mean < 0.99 * self._lowest:
            self._lowest, self._lowest_step = mean, step
            self._exploded = self._stalled = False
            return None
        before = f"{self._lowest:.3g} at step {self._lowest_step}"
        if not self._exploded and mean > 2 * self._lowest and mean > self._lowest + 0.5:
            self._exploded = True
            return f"WARNING: step {step}: the loss has risen to {mean:.3g}, from {before}; try a lower learning_rate"
        if not self._stalled and not self._exploded and step - self._lowest_step >= self._patience:
            self._stalled = True
            return f"step {step}: the loss has not fallen since {before}; it is {mean:.3g} now"
        return None


class Monitor:
    """Follows the points of a training.

    Args:
        steps: in all. steps_per_epoch: optimizer steps in which each row is seen once.
        log: file of all lines; None writes none. note: shows a line on the screen.
        remark: gets what is to be said of the loss, for the run.
        clock: seconds.
    """

    def __init__(
        self,
        steps: int,
        steps_per_epoch: int,
        *,
        log: Path | None,
        note: Callable[[str], None],
        remark: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps, self._per_epoch = steps, max(1, steps_per_epoch)
        self._log, self._note, self._remark, self._clock = log, note, remark, clock
        self._watch = LossWatch(steps)
        self._shown = self._last = clock()
        self._tokens = 0.0
        self._tokens_per_s = self._seconds = 0.0
        self._each = max(1, steps // _MOST_LINES)

    def point(self, step: int, values: Mapping[str, float], tokens: float) -> None:
        """A point of the curves.

        Args:
            tokens: that were trained on so far.
        """
        if "train/loss" not in values:
            if "eval/loss" in values:
                self._write(f"Step {step}/{self._steps} · eval/loss {values['eval/loss']:.4g}")
            return
        now = self._clock()
        self._measure(now - self._last, tokens - self._tokens)
        self._last, self._tokens = now, tokens
        line = self.line(step, values)
        if step % self._each == 0 or step == self._steps:
            self._write(line)
        if now - self._shown >= _EVERY_S or step == self._steps:
            self._shown = now
            self._note(line)
        if said := self._watch.look(step, values["train/loss"]):
            self._write(said)
            self._note(said)
            self._remark(said)

    def line(self, step: int, values: Mapping[str, float]) -> str:
        """Where the training is, on one line."""
        epoch, epochs = -(-step // self._per_epoch), -(-self._steps // self._per_epoch)
        mantissa, exponent = f"{values.get('train/learning_rate', 0.0):.1e}".split("e")
        parts = [
            f"Epoch {epoch}/{epochs}",
            f"Step {step}/{self._steps}",
            f"Loss {values['train/loss']:.3f}",
            f"LR {mantissa}e{int(exponent)}",
        ]
        if self._tokens_per_s:
            parts.append(f"{self._tokens_per_s:.0f} tok/s")
            parts.append(f"ETA {timedelta(seconds=round((self._steps - step) * self._seconds))}")
        return " · ".join(parts)

    def _measure(self, seconds: float, tokens: float) -> None:
        """Speeds as means that forget: a step weighs a fifth of what is shown."""
        if seconds < _REPLAYED_S or tokens <= 0:
            return
        share = 0.2 if self._seconds else 1.0
        self._seconds += share * (seconds - self._seconds)
        self._tokens_per_s += share * (tokens / seconds - self._tokens_per_s)

    def _write(self, text: str) -> None:
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as stream:
                stream.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}\n")
