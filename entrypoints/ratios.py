"""What a share of the data would do: nested subsets fine-tuned, a curve with a power law, what more would bring."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.ratios import RatiosConfig
from predictor.progress import Progress

CONFIG = RatiosConfig


def run(config: RatiosConfig, progress: Progress) -> None:
    from predictor.flows.ratios import ratios

    result = ratios(config, progress)
    print("\n".join(result.curve.lines()))
    print(f"run {result.run_id}: {result.seconds:.0f} s")
    _cli.look(result.run_id)


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
