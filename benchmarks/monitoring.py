"""What following a training adds to an optimizer step: one that is followed live beside one that nobody watches.

`python -m benchmarks.monitoring [ROUNDS [STEPS]]` on the embedded base, into a store of its own, in turns. Give it the
machine alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from benchmarks.interleaved import interleave, seconds
from predictor import environment


def main(rounds: int = 5, steps: int = 120) -> None:
    environment.prepare()
    environment.quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        os.chdir(folder)
        from predictor.schema import keys
        from predictor.tracking import tracked_run
        from predictor.trial.config import finetune_config
        from predictor.trial.trial import Trial

        config = finetune_config(
            dataset="lab:size:dial=256:seed=1", batch_size=16, max_steps=steps, dev_limit=0, tiers="static"
        )

        def step_time(*, watched: bool) -> float:
            kind = keys.KIND_FINETUNE if watched else keys.KIND_PROBE  # only fine-tunes sample the machine
            with tracked_run(kind) as run, Trial(config) as trial:
                if watched:
                    trial.announce(keys.KIND_FINETUNE, run)
                _ = trial.plan
                silent = lambda step, values: None  # noqa: E731
                if not watched:
                    trial._monitor = lambda: None  # type: ignore[method-assign]
                return seconds(lambda: trial.train(run.curve if watched else silent)) / steps

        followed, alone, ratio = interleave(lambda: step_time(watched=True), lambda: step_time(watched=False), rounds)
        print(
            f"a step that is followed {1e3 * followed:.2f} ms, one that is not {1e3 * alone:.2f} ms, ratio {ratio:.4f}"
        )
        assert Path(folder, "mlflow.db").is_file()


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:3]))
