"""Processes that end with this one, whichever way it ends, and what is needed to start them: ports and logs."""

from __future__ import annotations

import contextlib
import ctypes  # noqa: F401 - a forked child must not be the first to import it
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from predictor import interrupts
from predictor.errors import TrackingError

READY_S = 180.0
"""Seconds that a process may take until it answers; a busy machine is slow, and so is recovery after a crash."""
_PAUSE_S = 0.1
_LOG_BYTES = 6000
_LOG_LINES = 12


def start(
    command: Sequence[str],
    log: Path,
    *,
    stop: signal.Signals = signal.SIGTERM,
    account: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that Ctrl-C reaches this process alone, which ends it in order.

    Args:
        log: file to which its output is appended; its folder is the working folder.
        stop: the signal that the kernel sends it when this process ends, be it by SIGKILL (Linux only).
        account: `user`, `group` and `extra_groups` as of :class:`subprocess.Popen`; this process's own when None.
        env: its environment; this process's own when None.
    """
    parent = os.getpid()
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            cwd=log.parent,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: interrupts.end_with_parent(parent, stop),
            **(account or {}),
        )


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], name: str, log: Path, fix: str) -> None:
    """Wait until a process answers.

    Raises:
        TrackingError: it has ended, or is silent for :data:`READY_S` seconds; with the last lines of its log.
    """
    deadline = time.monotonic() + READY_S
    while not ready():
        if process.poll() is not None:
            raise ended(process, name, log, fix)
        if time.monotonic() > deadline:
            raise TrackingError(
                f"{name} does not answer after {READY_S:.0f} s", where=str(log), rule=last_words(log), fix=fix
            )
        time.sleep(_PAUSE_S)


def ended(process: subprocess.Popen[bytes], name: str, log: Path, fix: str) -> TrackingError:
    """The error that says that a process has ended by itself."""
    code = process.returncode
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
    return TrackingError(f"{name} has ended {how}", where=str(log), rule=f"its last lines: {last_words(log)}", fix=fix)


def end(process: subprocess.Popen[bytes] | None, *numbers: tuple[signal.Signals, float]) -> None:
    """Send a process one signal after the other until it has ended, then SIGKILL to all that is left of its session.

    Args:
        numbers: signals, each with the seconds that are granted after it.
    """
    if process is None:
        return
    for number, seconds in numbers:
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left
        os.killpg(process.pid, signal.SIGKILL)  # its process group has its number, also when it has gone itself
    process.wait()


def last_words(log: Path) -> str:
    """The last lines of a log, on one line."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return "none"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_LOG_LINES:]) or "none"


def is_free(port: int) -> bool:
    """Whether a port of the loopback interface can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(preferred: int = 0) -> int:
    """The preferred port of the loopback interface when it is free, else one that is."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
