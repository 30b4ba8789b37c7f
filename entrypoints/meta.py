"""A predictor of fine-tuning results from the recorded runs, validated, explained and registered."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.meta import MetaConfig
from predictor.progress import Progress

CONFIG = MetaConfig


def run(config: MetaConfig, progress: Progress) -> None:
    from predictor.flows.meta import train_predictor
    from predictor.registry.versions import promotion

    result = train_predictor(config, progress)
    print("\n".join(result.summary))
    print(f"run {result.run_id}")
    if result.version:
        print(f"registered {result.model_name} version {result.version}")
        print(f"next: {promotion(result.model_name, result.version)}")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
