"""The lab's fine-tunes that come with the package, into the tracking store: to browse, and to train a predictor on."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.import_lab import ImportLabConfig
from predictor.progress import Progress

CONFIG = ImportLabConfig


def run(config: ImportLabConfig, progress: Progress) -> None:
    from predictor.flows.import_lab import import_lab

    written, present = import_lab(config, progress)
    print(f"{written} runs imported, {present} were there already")
    print("next: mlflow ui; mlflow run . -e meta")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
