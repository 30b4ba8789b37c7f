"""A store that goes away for a while is waited for: a client that tries again what may work a little later."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from predictor import interrupts
from predictor.errors import TrackingError
from predictor.masking import cause, masked
from predictor.tracking.database import BACKENDS

PATIENCE_S = 600.0
"""Seconds that a store may be away before a run gives up; `PREDICTOR_STORE_PATIENCE` changes it."""
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 10.0
_PASSING = (
    "database is locked",
    "database table is locked",
    "connection refused",
    "connection reset",
    "connection aborted",
    "connection to server",  # psycopg2: the server is down, starting or stopping
    "could not connect",
    "server closed the connection",
    "terminating connection",
    "ssl connection has been closed",
    "max retries exceeded",
    "timed out",
    "timeout",
    "remote end closed",
    "temporarily unavailable",
    "unique constraint failed: datasets",  # two runs name the same dataset for the first time at the same instant
    "unique constraint failed: inputs",
    "duplicate key value violates unique constraint",
    "error code 502",
    "error code 503",
    "error code 504",
)
"""Parts of messages of faults that pass. Each store and driver has its own exception types; their words are fewer."""
_LASTING = {
    "readonly database": "the store's file or folder is not writable: check its owner and permissions",
    "read-only file system": "the store lies on a file system that is mounted read-only",
    "disk is full": "the disk of the store is full: make room",
    "no space left": "the disk is full: make room",
    "unable to open database": "the store's folder is gone or not writable",
    "no such table": "the store's file was replaced while it was in use",
}

_EXISTS = "RESOURCE_ALREADY_EXISTS"

OnWait = Callable[[str], None]


class PatientClient:
    """An `MlflowClient` whose calls wait for a store that is away, with pauses that double up to ten seconds.

    Repeating a call is safe: MLflow keeps the same tag, param or metric point once. Only `create_run` may leave a
    second run behind; whoever claims runs looks for it.

    Args:
        client: the client that does the work.
        patience_s: seconds to wait in all for one call.
        on_wait: told once for each absence.

    Raises (each call): TrackingError when the patience is used up or the fault is one that lasts (a full disk, a store
    that cannot be written); whatever MLflow raises otherwise.
    """

    def __init__(self, client: Any, patience_s: float | None = None, on_wait: OnWait | None = None) -> None:
        self._client = client
        given = os.environ.get("PREDICTOR_STORE_PATIENCE", PATIENCE_S)
        self._patience_s = float(given) if patience_s is None else patience_s
        self._on_wait = on_wait

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(name, lambda: method(*args, **kwargs))

        return call

    def _call(self, name: str, attempt: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + self._patience_s
        pause = _FIRST_PAUSE_S
        told = False
        while True:
            try:
                with self._whole(name):
                    return attempt()
            except Exception as error:
                uri = str(self._client.tracking_uri)
                for words, advice in _LASTING.items():
                    if words in _text(error):
                        raise TrackingError(
                            f"the tracking store refuses {name} ({_first_line(error)})", where=uri, fix=advice
                        ) from cause(error)
                if not passes(error):
                    raise
                if time.monotonic() + pause > deadline:
                    raise TrackingError(
                        f"the tracking store stayed away for {self._patience_s:.0f} s ({_first_line(error)})",
                        where=f"{uri}, {name}",
                        rule="PREDICTOR_STORE_PATIENCE is the number of seconds to wait",
                        fix="start the store again and repeat the command: what is done is not done again",
                    ) from cause(error)
                if self._on_wait and not told and pause > 1.0:
                    self._on_wait(f"the tracking store does not answer ({_first_line(error)}); waiting for it")
                    told = True
                time.sleep(pause * (0.5 + random.random()))  # not all workers at the same instant
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _whole(self, name: str) -> AbstractContextManager[None]:
        """A transaction of a database ends before a signal does.

        What goes over the network or copies files does not keep anybody waiting.
        """
        database = str(self._client.tracking_uri).startswith(BACKENDS)
        return interrupts.held() if database and "artifact" not in name else nullcontext()


def passes(error: Exception) -> bool:
    """Whether the fault is one that may be over at the next attempt."""
    # Somebody else was first, which PostgreSQL says in words of those above: waiting does not undo it.
    if isinstance(error, MlflowException) and error.error_code == _EXISTS:
        return False
    text = _text(error)
    return isinstance(error, (MlflowException, OSError, SQLAlchemyError)) and any(words in text for words in _PASSING)


def _text(error: Exception) -> str:
    return f"{type(error).__name__} {error}".lower()


def _first_line(error: Exception) -> str:
    lines = masked(error).splitlines()  # before it is cut: half a URI would not be known as one
    return lines[0][:200] if lines else type(error).__name__
