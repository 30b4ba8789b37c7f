"""Many fine-tunes from one plan file, on several workers; killed at any instant, it goes on where it was."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.sweep import SweepConfig
from predictor.progress import Progress

CONFIG = SweepConfig


def run(config: SweepConfig, progress: Progress) -> None:
    from predictor.flows.sweep import sweep

    result = sweep(config, progress)
    tally = result.tally
    if tally is None:
        print("\n".join(result.outlook.lines()))
        return
    print(
        f"{tally.finished} finished, {tally.done_before} done before, {tally.failed} failed attempts, "
        f"{len(tally.set_aside)} set aside, {result.seconds:.0f} s"
    )
    if tally.best:
        print(f"best score {tally.best.score:.4g}: {tally.best.job.config.data.dataset}")
    print(f"run {result.run_id}")
    _cli.look(result.run_id)


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
