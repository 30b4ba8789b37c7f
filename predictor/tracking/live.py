"""What a run tells while it goes on: curves and figures of the machine, sent from a thread so that no step waits."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import psutil
from mlflow.entities import Metric

from predictor.schema import keys

Send = Callable[[Sequence[Metric], Mapping[str, str]], None]
"""Writes metrics and tags on the run, or raises."""
_SHORTEST_S: Final = 0.02
_PATIENCE_S: Final = 30.0
"""How long the end of a run waits for a write that is under way."""


class Live:
    """Sends points every few seconds until it is stopped. A store that is away loses none: they are sent later.

    Args:
        period_s: seconds from one sending to the next.
        system: also sample memory and load of the machine, once in each period.
    """

    def __init__(self, send: Send, period_s: float, *, system: bool) -> None:
        self._send = send
        self._period_s = max(_SHORTEST_S, period_s)
        self._system = SystemFigures() if system and wanted() else None
        self._metrics: list[Metric] = []
        self._tags: dict[str, str] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True, name="live metrics")
            self._thread.start()

    def add(self, metrics: Sequence[Metric] = (), tags: Mapping[str, str] | None = None) -> None:
        """Hand over points and tags for the next sending; takes microseconds."""
        with self._lock:
            self._metrics += metrics
            self._tags |= tags or {}
        self.start()

    def stop(self) -> tuple[list[Metric], dict[str, str]]:
        """End, and give back what was not sent. A point that may be under way is given back too: twice is once."""
        if self._thread is not None and not self._over.is_set():
            self._over.set()
            self._thread.join(_PATIENCE_S)
            self._sample()
        with self._lock:
            return self._metrics, self._tags

    def taken(self) -> None:
        """What :meth:`stop` gave back was written."""
        with self._lock:
            self._metrics, self._tags = [], {}

    def _run(self) -> None:
        while not self._over.wait(self._period_s):
            self._sample()
            with self._lock:
                metrics, tags = list(self._metrics), dict(self._tags)
            if not metrics and not tags:
                continue
            with contextlib.suppress(Exception):  # the points stay, and go with a later sending
                self._send(metrics, tags)
                with self._lock:
                    del self._metrics[: len(metrics)]
                    self._tags = {name: text for name, text in self._tags.items() if tags.get(name) != text}

    def _sample(self) -> None:
        if self._system is not None:
            with contextlib.suppress(Exception):  # a driver that stops answering is no reason to end a fine-tune
                found = self._system.sample()
                with self._lock:
                    self._metrics += found


class SystemFigures:
    """Memory and load of the machine and its GPUs as MLflow reads and calls them, and the memory of this process."""

    def __init__(self) -> None:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor

        self._readers: list[Any] = [CPUMonitor()]
        with contextlib.suppress(Exception):  # no GPU, no driver, or no package that asks it
            from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor

            self._readers.append(GPUMonitor())
        self._process = psutil.Process()
        self._step = 0

    def sample(self) -> list[Metric]:
        """One point of each figure: percentages, and megabytes of 10⁶ bytes."""
        found = {"process_memory_megabytes": round(self._process.memory_info().rss / 1e6, 1)}
        for reader in self._readers:
            reader.collect_metrics()
            found |= reader.aggregate_metrics()
            reader.clear_metrics()
        now, step = int(time.time() * 1000), self._step
        self._step += 1
        return [Metric(keys.SYSTEM + name, float(value), now, step) for name, value in found.items()]


def wanted() -> bool:
    """Whether the machine is sampled: unless MLflow's own variable says no."""
    return os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").strip().lower() not in ("false", "0")
