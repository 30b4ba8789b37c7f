"""Ctrl-C and SIGTERM as exceptions, so that a run they end is recorded as KILLED."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_held: list[None] = []
"""One entry for each block of :func:`held` that the main thread is in."""
_waiting: list[str] = []
"""The name of the signal that came meanwhile."""


class Interrupted(KeyboardInterrupt):
    """The process was asked to end; `signal_name` says by which signal."""

    def __init__(self, signal_name: str) -> None:
        super().__init__(signal_name)
        self.signal_name = signal_name


def install() -> None:
    """Make SIGINT and SIGTERM raise :class:`Interrupted`, once.

    `mlflow run` answers Ctrl-C by sending its child SIGTERM on top of the terminal's SIGINT: only the first of them
    raises, so that the second cannot cut off the clean-up of the first.
    """
    signal.signal(signal.SIGINT, _raise)
    signal.signal(signal.SIGTERM, _raise)
    _end_with_parent()


@contextmanager
def held() -> Iterator[None]:
    """Keep a signal that comes meanwhile until the end of the block.

    For work that must not be cut off in the middle: a database transaction whose commit an exception interrupts stays
    open, and with it SQLite's lock, while the same exception's clean-up waits to write.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are raised in the main thread only
        yield
        return
    _held.append(None)
    try:
        yield
    finally:
        _held.pop()
        if _waiting and not _held:
            raise Interrupted(_waiting.pop())


def _raise(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if _held:
        _waiting.append(signal.Signals(number).name)
    else:
        raise Interrupted(signal.Signals(number).name)


def _end_with_parent() -> None:
    # A SIGTERM to `mlflow run` ends that process but not its child, which would train on unseen.
    if "MLFLOW_RUN_ID" in os.environ:
        end_with_parent(os.getppid())


def end_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Get a signal when the parent process ends. Linux can do that; elsewhere the child goes on.

    Args:
        parent: process id of the parent; when it has ended already, the signal comes at once.
        number: the signal.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
