"""Write a dataset of the embedded lab, whose quality is known because it was made so."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.lab import LabConfig
from predictor.progress import Progress

CONFIG = LabConfig


def run(config: LabConfig, progress: Progress) -> None:
    from predictor.flows.lab import lab

    print(lab(config, progress))


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
