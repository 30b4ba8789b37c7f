"""Very many runs that were never read: other processes read their values into the local copy, one for each core."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from predictor.tracking.database import Listed

MANY = 20_000
"""Fewer runs than this are read sooner than a process has started."""
_WORKERS = 4
_log = logging.getLogger(__name__)


def fill(uri: str, runs: Sequence[Listed]) -> None:
    """Put the values of these runs, which have ended, into the local copy of the store.

    What a process fails to read is left to the caller, who reads whatever the copy does not hold.
    """
    count = min(_WORKERS, os.cpu_count() or 1)
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(":")}
    each = -(-len(runs) // count)
    processes = []
    try:
        for start in range(0, len(runs), each):
            # By its input: a URI may hold a password, which a command line would show to everybody.
            process = subprocess.Popen(
                [sys.executable, "-m", __name__], stdin=subprocess.PIPE, text=True, env=environment
            )
            processes.append(process)
            assert process.stdin is not None
            json.dump({"uri": uri, "runs": runs[start : start + each]}, process.stdin)
            process.stdin.close()
        codes = [process.wait() for process in processes]
        if any(codes):
            _log.debug("processes that read runs ended with %s", codes)
    except OSError as error:
        _log.debug("no processes to read runs: %s", error)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _main() -> None:
    from predictor.tracking.direct import keep

    asked = json.load(sys.stdin)
    keep(asked["uri"], [Listed(*run) for run in asked["runs"]])


if __name__ == "__main__":
    _main()
