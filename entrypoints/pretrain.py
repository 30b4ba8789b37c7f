"""Make the lab's small base model from generated text: checkpoints, resume, curve, model card."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.pretrain import PretrainConfig
from predictor.progress import Progress

CONFIG = PretrainConfig


def run(config: PretrainConfig, progress: Progress) -> None:
    from predictor.flows.pretrain import pretrain

    for name, value in pretrain(config, progress).items():
        print(f"{name:<24} {value:.4g}")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
