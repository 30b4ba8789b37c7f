"""Which process writes a run, told so that another process can see whether it still lives."""

from __future__ import annotations

import socket

import psutil

_DRIFT_S = 2.0
"""Start times are computed from the boot time, which moves a little when the clock is set."""


def this_process() -> str:
    """`HOST/PID/START`, START in seconds since the epoch."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.2f}"


def is_gone(owner: str) -> bool | None:
    """Whether the process has ended; None when it ran on another host, of which nothing can be known."""
    host, pid, started = _parts(owner)
    if host != socket.gethostname():
        return None
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) > _DRIFT_S or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _parts(owner: str) -> tuple[str, int, float]:
    try:
        host, pid, started = owner.rsplit("/", 2)
        return host, int(pid), float(started)
    except ValueError:
        return owner, 0, 0.0
