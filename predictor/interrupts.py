"""Ctrl-C and SIGTERM as exceptions, so that a run they end is recorded as KILLED."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


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


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted(signal.Signals(number).name)


def _end_with_parent() -> None:
    # A SIGTERM to `mlflow run` ends that process but not its child, which would train on unseen.
    if "MLFLOW_RUN_ID" in os.environ:
        end_with_parent(os.getppid())


def end_with_parent(parent: int) -> None:
    """Get SIGTERM when the parent process ends. Linux can do that; elsewhere the child goes on.

    Args:
        parent: process id of the parent; when it has ended already, SIGTERM comes at once.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)
