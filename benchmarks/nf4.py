"""LoRA beside a base in float32 and in NF4: peak memory of loading and of training, and tokens a second, in turns.

`python -m benchmarks.nf4 TRAIN EVAL [ROUNDS [STEPS]]` on smollm2. For the speeds, give it the machine alone.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from predictor import environment

KINDS = {"float32": {"method": "lora"}, "nf4": {"method": "qlora", "quantization": "nf4"}}
LONGEST = 220


def measure(kind: str, train_file: str, eval_file: str, steps: int, told: Any) -> None:
    """One fine-tune in a process of its own; puts megabytes and tokens a second into a queue."""
    environment.prepare()
    environment.quiet_libraries()
    from predictor.finetune.methods import quantization_of
    from predictor.finetune.train import train
    from predictor.models.base_model import load_base_model
    from predictor.models.device import detect
    from predictor.trial.config import finetune_config
    from predictor.trial.sources import ready_base
    from predictor.trial.trial import Trial

    config = finetune_config(
        dataset=train_file, eval_dataset=eval_file, base_model="smollm2", train_limit=64, dev_limit=0, eval_limit=1,
        batch_size=4, per_device_batch_size=1, max_length=LONGEST, max_steps=steps, tiers="static", **KINDS[kind],
    )  # fmt: skip
    ready_base("smollm2")
    hp = config.hyperparameters
    load_base_model(ready_base("smollm2"), detect(), quantization_of(hp.method.name, hp.method.settings))
    loading = peak_mb()
    with Trial(config) as trial:
        rows, plan = trial.rows, trial.plan
        reset_peak()
        resident = now_mb()
        started = time.perf_counter()
        tuned = train(trial.base, rows, hp, plan, seed=1, on_log=lambda step, values: None)
        seconds = time.perf_counter() - started
    told.put({"load": loading, "resident": resident, "train": peak_mb(), "speed": tuned.tokens / seconds})


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    return _status("VmHWM")


def now_mb() -> float:
    return _status("VmRSS")


def _status(key: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(key + ":"))


def main(train_file: str, eval_file: str, rounds: int = 3, steps: int = 4) -> None:
    context = multiprocessing.get_context("spawn")
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in KINDS:
            queue = context.Queue()
            process = context.Process(target=measure, args=(kind, train_file, eval_file, steps, queue))
            process.start()
            found[kind].append(queue.get())
            process.join()
    for kind, figures in found.items():
        middle = {name: statistics.median(each[name] for each in figures) for name in figures[0]}
        print(
            f"{kind:<8} peak of loading {middle['load']:.0f} MB, before training {middle['resident']:.0f} MB, "
            f"peak of training {middle['train']:.0f} MB, {middle['speed']:.0f} tokens/s"
        )


if __name__ == "__main__":
    main(*sys.argv[1:3], *(int(number) for number in sys.argv[3:5]))
