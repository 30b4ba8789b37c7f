"""A sweep against an MLflow server that goes away for a minute: `python -m benchmarks.absent_server [SECONDS]`.

The server is killed while fine-tunes run and started again after SECONDS (60). The sweep must end with one complete run
for each configuration and none left RUNNING.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from benchmarks.kill_sweep import RUNS, start, write_plan  # noqa: E402
from predictor.tracking import read_records  # noqa: E402


def serve(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A server over SQLite on loopback; returns when it answers."""
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
        "--artifacts-destination",
        f"{folder}/artifacts",
    ]
    log = (folder / "server.log").open("ab")
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return process
        except OSError:
            assert process.poll() is None, (folder / "server.log").read_text()[-2000:]
            time.sleep(0.2)


def main(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder = Path(name)
        plan = write_plan(folder)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        os.environ["MLFLOW_TRACKING_URI"] = uri = f"http://127.0.0.1:{port}"
        server = serve(folder, port)
        sweep = start(plan, "lab")
        finished = 0
        while finished < 5:
            time.sleep(1.0)
            try:
                finished = sum(record.complete for record in read_records(["lab"], tracking_uri=uri))
            except Exception:
                continue  # the experiment is not there yet
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        gone = time.perf_counter()
        time.sleep(seconds)
        assert sweep.poll() is None, (folder / "log").read_text()[-2000:]
        server = serve(folder, port)
        away = time.perf_counter() - gone
        code = sweep.wait()
        records = read_records(["lab"], tracking_uri=uri)
        complete = [record for record in records if record.complete and record.status == "FINISHED"]
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
        print(f"server away for {away:.0f} s after {finished} of {RUNS} runs; exit status of the sweep {code}")
        print(f"runs {dict(Counter(record.status for record in records))}, {len(complete)} complete")
        assert code == 0
        assert len({record.config_hash for record in complete}) == len(complete) == RUNS
        assert all(record.status != "RUNNING" for record in records)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
