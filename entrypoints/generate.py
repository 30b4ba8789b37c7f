"""Answers of a base or tuned model to every row of a file, in its order: written, classes, or scores."""

from __future__ import annotations

from pathlib import Path

from entrypoints import _cli
from predictor.flows.generate import GenerateConfig
from predictor.progress import Progress

CONFIG = GenerateConfig


def run(config: GenerateConfig, progress: Progress) -> None:
    from predictor.flows.generate import generate

    answered = generate(config, progress)
    print(f"written   {config.output}: {answered.rows} rows")
    for name, value in answered.figures.items():
        print(f"{name:<9} {value:.4f} over {answered.rows} rows")
    if answered.known:
        print(f"resumed   {answered.known} answers were there already")
    if answered.rejected:
        output = Path(config.output)
        print(f"refused   {answered.rejected} rows: {output.with_name(output.stem)}_rejected.jsonl")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
