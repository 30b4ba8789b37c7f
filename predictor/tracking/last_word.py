"""Keeps an interrupted run KILLED: `python -m predictor.tracking.last_word RUN_ID`, the store in MLFLOW_TRACKING_URI.

On Ctrl-C `mlflow run` waits for its child to end and then marks the run FAILED, whatever the child has written: it asks
whether a status text is among status numbers, which is never so. The child has ended by then, so a process that
outlives it has to write KILLED once more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

_SECONDS = 30.0
"""How long `mlflow run` may take to write its own status."""


def speak_after_mlflow_run(tracking_uri: str, run_id: str) -> None:
    """Start the process, detached from the terminal that the interruption came from.

    The URI may hold a password, and everybody on the machine can read a process's arguments, but not its environment.
    """
    subprocess.Popen(
        [sys.executable, "-m", "predictor.tracking.last_word", run_id],
        env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(run_id: str) -> None:
    """Wait until somebody has written FAILED over KILLED, and write KILLED again."""
    from predictor import environment

    environment.prepare()
    from mlflow import MlflowClient

    client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        if client.get_run(run_id).info.status == "FAILED":
            client.set_terminated(run_id, "KILLED")
            return
        time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1])
