"""What surrounds a fine-tune: start-up of each entry point, writes and params of a run, the probe's share of its time.

`python -m benchmarks.overheads`
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from benchmarks.interleaved import seconds  # noqa: E402
from entrypoints._mlproject import VERBS, module_of  # noqa: E402
from predictor.config import TIERS  # noqa: E402
from predictor.trial.config import finetune_config  # noqa: E402


def help_times() -> None:
    root = Path(__file__).resolve().parent.parent
    for verb in VERBS:
        command = [sys.executable, "-m", module_of(verb), "--help"]
        times = [
            seconds(lambda c=command: subprocess.run(c, cwd=root, capture_output=True, check=True)) for _ in range(5)
        ]
        print(f"--help of {verb:<10} {statistics.median(times):.2f} s")


def a_run() -> None:
    from mlflow import MlflowClient

    from predictor.flows.finetune import finetune

    writes: list[str] = []
    for name in ("log_batch", "log_inputs", "log_metric", "log_param", "set_tag"):
        original = getattr(MlflowClient, name)

        def counted(
            self: MlflowClient, *args: object, _n: str = name, _o: object = original, **kwargs: object
        ) -> object:
            writes.append(_n)
            return _o(self, *args, **kwargs)  # type: ignore[operator]

        setattr(MlflowClient, name, counted)
    config = finetune_config(learning_rate=3e-3, batch_size=16)
    finetune(config)  # imports, migrations and the embedding cache are paid here
    writes.clear()
    record = finetune(finetune_config(dataset="lab:size:dial=512:seed=2", learning_rate=3e-3, batch_size=16))
    run = MlflowClient().get_run(record.run_id)
    print(f"writes of a run: {len(writes)} ({', '.join(writes)}), params: {len(run.data.params)}")
    costs, total = record.costs, record.costs["total_s"]
    for part in sorted(name for name in costs if name.endswith("_s")):
        print(f"  {part:<18} {costs[part]:7.2f} s  {costs[part] / total:6.1%}")
    for count in range(1, len(TIERS) + 1):
        share = sum(costs[f"probe_{tier}_s"] for tier in TIERS[:count]) / total
        print(f"probe of {','.join(TIERS[:count]):<28} {share:.1%} of the full run's time")


def main() -> None:
    help_times()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        a_run()


if __name__ == "__main__":
    main()
