"""Fine-tunes that come with the package, into the tracking store: to browse, and to train a predictor on."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.import_runs import ImportRunsConfig
from predictor.progress import Progress

CONFIG = ImportRunsConfig


def run(config: ImportRunsConfig, progress: Progress) -> None:
    from predictor.flows.import_runs import import_runs

    written, present = import_runs(config, progress)
    print(f"{written} runs imported, {present} were there already")
    print("next: mlflow ui; mlflow run . -e meta")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
