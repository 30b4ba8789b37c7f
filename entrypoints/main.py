"""The whole idea in one run: a predictor from the package's own fine-tunes, put to the test on four new datasets.

They are probed and ranked first, and then really fine-tuned.
"""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.main import QuickstartConfig
from predictor.progress import Progress

CONFIG = QuickstartConfig


def run(config: QuickstartConfig, progress: Progress) -> None:
    from predictor.flows.main import quickstart

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
    print(f"  {'candidate':<48} {'predicted':>9}  {'90 % interval':<15} {'actual':>6}")
    for v in result.verdicts:
        interval = f"{v.lower:.2f} to {v.upper:.2f}"
        print(f"  {v.candidate:<48} {v.predicted:>9.2f}  {interval:<15} {v.actual:>6.2f} ± {v.actual_se:.2f}")
    print(f"rank correlation of predicted and actual: {result.spearman:.2f}; {result.seconds:.0f} s in all")
    print()
    _cli.look(result.run_id)


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
