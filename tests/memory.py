"""How much memory a piece of work takes at its peak, from what Linux counts for this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


def growth(work: Callable[[], object]) -> int:
    """Bytes by which the resident memory rose above where it stood, at the peak of the work; skips where nothing tells.

    Pages of files that are mapped count too.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _status("VmRSS")
    except OSError:
        pytest.skip("this system does not tell a process's peak of memory")
    work()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))
