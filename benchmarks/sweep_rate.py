"""What two workers bring, and what a run costs besides itself: `python -m benchmarks.sweep_rate [RUNS]`.

The same fine-tunes of the lab by one worker and by two, each worker with one thread, in turns; from the first start to
the last end, without the first run of each worker, which pays for what is loaded once. Then the loop of a sweep over
jobs that do nothing.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from predictor.flows.sweep import SweepConfig, sweep  # noqa: E402
from predictor.sweep import SAMPLERS, Job, Outcome, Plan  # noqa: E402
from predictor.sweep.driver import drive  # noqa: E402
from predictor.sweep.samplers import Setting  # noqa: E402
from predictor.sweep.space import Choices  # noqa: E402
from predictor.tracking import connect, read_records  # noqa: E402
from predictor.trial.config import FinetuneConfig  # noqa: E402

PLAN = """
datasets: [{{family: size, dial: 256, seed: {seeds}}}]
hp: {{learning_rate: [5.0e-3], batch_size: [16], epochs: [2.0], lora_dropout: [0.0]}}
eval_limit: 200
tiers: static
"""


def rate(folder: Path, uri: str, workers: int, runs: int, name: str) -> float:
    """Fine-tunes a second between the first start and the last end."""
    (folder / "plan.yaml").write_text(PLAN.format(seeds=list(range(1, runs + 1))))
    config = SweepConfig(plan=str(folder / "plan.yaml"), workers=workers, threads=1)
    sweep(config, experiment=name, tracking_uri=uri)
    records = read_records([name], tracking_uri=uri)
    starts = sorted(record.start_time for record in records)
    ends = sorted(record.start_time + 1000 * record.costs["total_s"] for record in records)
    first = starts[workers]
    return 1000 * sum(start >= first for start in starts) / (ends[-1] - first)


class Instant:
    """An executor whose jobs do nothing."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    @property
    def free(self) -> int:
        """Two jobs less those that were taken."""
        return 2 - len(self.jobs)

    def submit(self, job: Job) -> None:
        """Take the job."""
        self.jobs.append(job)

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """All jobs that were taken, finished at once."""
        done, self.jobs = self.jobs, []
        return [Outcome(job, "finished", score=0.5) for job in done]

    def close(self) -> None:
        """Nothing runs that could be ended."""


def scheduling_ms(runs: int = 5000) -> float:
    """Milliseconds of the sweep's own loop for one run."""
    plan = Plan(tuple(f"d{n}" for n in range(runs)), ({"lora_r": Choices((8,))},))

    def identify(config: FinetuneConfig) -> str:
        return config.data.dataset

    started = time.perf_counter()
    drive(plan, SAMPLERS.get("grid")(Setting(plan)), Instant(), {}, identify, retries=0)
    return 1000 * (time.perf_counter() - started) / runs


def main(runs: int) -> None:
    print(f"scheduling: {scheduling_ms():.3f} ms a run")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        uri = connect(f"sqlite:///{folder}/mlflow.db")
        for turn in range(2):
            one = rate(folder, uri, 1, runs, f"one {turn}")
            two = rate(folder, uri, 2, runs, f"two {turn}")
            print(f"one worker {60 * one:.2f} a minute, two {60 * two:.2f}: {two / one:.2f} times", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
