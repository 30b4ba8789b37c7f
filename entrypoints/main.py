"""The whole idea in one run: a predictor from the package's own fine-tunes, put to the test on four new datasets.

They are probed and ranked first, and then really fine-tuned.
"""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.main import QuickstartConfig
from predictor.progress import Progress

CONFIG = QuickstartConfig


def run(config: QuickstartConfig, progress: Progress) -> None:
    from predictor.flows.main import heading, quickstart

    result = quickstart(config, progress)
    promotion = result.promotion
    print()
    print("\n".join(result.meta.summary))
    print()
    for objection in promotion.objections:
        print(f"the gate objects: {objection}")
    gate = "forced past the gate, and recorded so" if promotion.objections else "the gate let it pass"
    print(f"{result.taught} fine-tunes -> predictor version {promotion.version} -> {promotion.stage} ({gate})")
    print()
    print("four datasets that no run has used, ranked before their fine-tunes, then fine-tuned too (exact match):")
    print(heading(48))
    for verdict in result.verdicts:
        print(verdict.line(48))
    print(f"rank correlation of predicted and actual: {result.spearman:.2f}; {result.seconds:.0f} s in all")
    print()
    _cli.look(result.run_id)


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
