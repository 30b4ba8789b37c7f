"""The whole idea in one run: real fine-tunes, a predictor trained from them, registered, and put to the test.

The fine-tunes are of the embedded base model; the test is on four datasets that the predictor has not seen.
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
    forced = " (forced, and recorded so: this demonstration goes on to show a ranking)" if promotion.objections else ""
    print(f"{result.taught} fine-tunes -> predictor version {promotion.version} -> {promotion.stage}{forced}")
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
