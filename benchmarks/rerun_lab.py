"""Five runs of the package's table, drawn at random, made again: `python -m benchmarks.rerun_lab [SEED]`.

Each must give the same score within the noise of its seed, for which 4 standard errors of the difference of two scores
on the same number of questions stand.
"""

from __future__ import annotations

import math
import sys
import tempfile
from random import Random

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from predictor.flows.finetune import finetune  # noqa: E402
from predictor.runs import runs_path  # noqa: E402
from predictor.schema.archive import read_archive  # noqa: E402
from predictor.trial.config import config_of  # noqa: E402

COUNT = 5


def main(seed: int) -> int:
    archive = read_archive(runs_path())
    chosen = Random(seed).sample(range(len(archive.records)), COUNT)
    differing = 0
    print("| dataset | seed | score in the table | score now | difference |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number in chosen:
            record, config = archive.records[number], dict(archive.configs[number])
            again = finetune(config_of(config), experiment="again", tracking_uri=f"sqlite:///{folder}/store.db")
            before, now = record.scores["exact_match"], again.scores["exact_match"]
            differing += abs(now - before) > 4 * math.hypot(
                record.scores["exact_match_se"], again.scores["exact_match_se"]
            )
            print(f"| {record.dataset} | {record.seed} | {before:.3f} | {now:.3f} | {now - before:+.3f} |", flush=True)
    print(f"{COUNT - differing} of {COUNT} within the noise")
    return int(differing > 0)


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
