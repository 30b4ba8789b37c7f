"""Which process writes a run, told so that another process can see whether it still lives."""

from __future__ import annotations

import os
import socket
import time

import psutil

_DRIFT_S = 2.0
"""Start times are computed from the boot time, which moves a little when the clock is set."""
_FIRST_NAMESPACE = 0xEFFFFFFC  # linux/proc_ns.h: the process ids of the machine itself


def this_process() -> str:
    """`HOST/PID/START`, START in seconds since the epoch. In a container HOST also names its process ids."""
    process = psutil.Process()
    return f"{_host()}/{process.pid}/{process.create_time():.2f}"


def is_gone(owner: str) -> bool | None:
    """Whether the process has ended; None when it ran on another host, of which nothing can be known."""
    return None if _parts(owner)[0] != _host() else end_of(owner) is not None


def end_of(owner: str) -> str | None:
    """What shows that the process has ended; None when it lives, or ran on another host."""
    host, pid, started = _parts(owner)
    if host != _host():
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return f"process {pid} has ended and waits for its parent"
        if abs(process.create_time() - started) > _DRIFT_S:
            return f"process {pid} is another one, started {_utc(process.create_time())}"
    except psutil.NoSuchProcess:
        if _is_there(pid):
            return None
        booted = psutil.boot_time()
        restarted = f", the machine was started {_utc(booted)}" if booted > started + _DRIFT_S else ""
        return f"there is no process {pid}{restarted}"
    except psutil.AccessDenied:  # it is there, and somebody else's
        pass
    return None


def _host() -> str:
    """The host's name, and in a container the process ids' namespace.

    A container may bear the host's own name, but a number means another process there.
    """
    name = socket.gethostname()
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:  # not Linux
        return name
    return name if namespace == _FIRST_NAMESPACE else f"{name}#{namespace}"


def _is_there(pid: int) -> bool:
    """Whether there is such a process though it is not shown: a machine may hide the processes of other users."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _parts(owner: str) -> tuple[str, int, float]:
    try:
        host, pid, started = owner.rsplit("/", 2)
        return host, int(pid), float(started)
    except ValueError:
        return owner, 0, 0.0
