"""What the development slice costs in the probe, and how sure its early score is, by its size.

`python -m benchmarks.dev_slice [DATASETS]`: so many runs of the package's table, drawn at random, are probed with each
size, forward and train tier, on one thread. The standard error is √(p(1 − p) / n) with p the early score on the largest
slice, averaged over the datasets as a variance; a lab dataset has one question a passage, so questions are independent.
"""

from __future__ import annotations

import math
import statistics
import sys
from random import Random

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import torch  # noqa: E402

from predictor.metrics.standard_error import bernoulli_se  # noqa: E402
from predictor.runs import runs_path  # noqa: E402
from predictor.schema.archive import read_archive  # noqa: E402
from predictor.trial.config import FinetuneConfig, config_of  # noqa: E402
from predictor.trial.trial import Trial  # noqa: E402

SIZES = (8, 16, 32, 64, 128)


def probe(config: FinetuneConfig) -> tuple[float, float, float]:
    """Seconds of the slice, seconds of the two tiers, early score."""
    trial = Trial(config)
    trial.look()
    trial.train(lambda step, values: None, probe_only=True)
    costs = trial.costs()
    tiers = costs["probe_forward_s"] + costs["probe_train_s"]
    return costs["probe_dev_s"], tiers, trial.features[f"early_{trial.materials.task.headline}"]


def main(datasets: int) -> None:
    torch.set_num_threads(1)
    archive = read_archive(runs_path())
    chosen = Random(1).sample(range(len(archive.records)), datasets)
    seen: dict[int, list[tuple[float, float, float]]] = {size: [] for size in SIZES}
    probe(config_of(archive.configs[chosen[0]]).replace(tiers="forward,train"))  # what is paid once
    for number in chosen:
        for size in SIZES:
            config = config_of(archive.configs[number]).replace(tiers="forward,train", dev_limit=size)
            seen[size].append(probe(config))
    print(f"{datasets} runs, medians")
    for size, found in seen.items():
        price = statistics.median(seconds for seconds, _, _ in found)
        tiers = statistics.median(seconds for _, seconds, _ in found)
        variances = [bernoulli_se(score, size) ** 2 for _, _, score in seen[SIZES[-1]]]
        error = 100 * math.sqrt(statistics.mean(variances))
        print(
            f"slice of {size:>3}: {price:5.2f} s of {tiers:5.2f} s of the forward and train tiers, "
            f"standard error of the early score {error:4.1f} points"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
