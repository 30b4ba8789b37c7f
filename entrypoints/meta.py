"""A predictor of fine-tuning results from the recorded runs, validated, explained and registered."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.meta import MetaConfig
from predictor.progress import Progress

CONFIG = MetaConfig


def run(config: MetaConfig, progress: Progress) -> None:
    from predictor.flows.meta import train_predictor

    result = train_predictor(config, progress)
    print("\n".join(result.summary))
    print(f"run {result.run_id}")
    if result.version:
        print(f"registered {config.model_name} version {result.version}")
        print(f"next: mlflow run . -e promote -P version={result.version} -P stage=Production")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
