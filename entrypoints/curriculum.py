"""Fine-tunes in stages, each going on from the one before; a plan that was killed goes on in its stage."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.curriculum import CurriculumConfig
from predictor.progress import Progress

CONFIG = CurriculumConfig


def run(config: CurriculumConfig, progress: Progress) -> None:
    from predictor.flows.curriculum import curriculum

    result = curriculum(config, progress)
    print("\n".join(result.stages if result.outcome is None else result.outcome.lines()))
    print(f"run {result.run_id}: {result.seconds:.0f} s")
    if result.outcome is not None:
        _cli.look(result.run_id)


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
