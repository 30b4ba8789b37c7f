"""Seconds by part, as `cost/<part>_s`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up wall-clock seconds under names."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the seconds that the block takes, also when it raises."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Add seconds that were measured elsewhere."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @property
    def total(self) -> float:
        """Seconds since the watch was made."""
        return time.perf_counter() - self._started

    def costs(self) -> dict[str, float]:
        """Every part under `<name>_s`, and `total_s` since the watch was made."""
        parts = {f"{name}_s": seconds for name, seconds in self.seconds.items()}
        return {**parts, "total_s": self.total}


def peak_memory_mb() -> float:
    """Peak memory in MB (10⁶ bytes): of the accelerator when there is one, else the resident set of this process."""
    import resource

    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
