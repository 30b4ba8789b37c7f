"""The whole idea on a real language model (SmolLM2-135M-Instruct) and real questions, in half an hour of two cores.

It is fine-tuned on SQuAD; three candidate files are ranked by what the package's real fine-tunes taught, and the best
and the worst of them are then really fine-tuned.
"""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.real import RealConfig
from predictor.progress import Progress

CONFIG = RealConfig


def run(config: RealConfig, progress: Progress) -> None:
    from predictor.flows.main import heading
    from predictor.flows.real import real

    result = real(config, progress)
    scores = result.first.scores
    print()
    print(
        f"{config.rows} rows of {config.train}: exact match {scores['exact_match']:.2f} "
        f"± {scores['exact_match_se']:.2f}, F1 {scores['f1']:.2f}"
    )
    print()
    print("\n".join(result.meta.summary))
    for objection in result.objections:
        print(f"the gate objects: {objection}")
    print()
    print(f"ranked by what {result.taught} fine-tunes on other data taught, then the best and the worst fine-tuned:")
    width = max(len(verdict.candidate) for verdict in result.verdicts)
    print(heading(width))
    for verdict in result.verdicts:
        print(verdict.line(width))
    print(f"{result.seconds:.0f} s in all")
    print()
    _cli.look(result.run_id)


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
