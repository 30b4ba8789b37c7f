r"""Runs as they come with the package: `python -m benchmarks.package_runs SET TARGET EXPERIMENT [EXPERIMENT ...]`.

Takes the complete fine-tunes of the experiments out of the store in MLFLOW_TRACKING_URI and writes
`predictor/runs/SET.parquet`. They were made by `mlflow run . -e sweep --experiment-name SET -P plan=PLAN -P workers=2`
with these plans:

    lab      benchmarks/lab_plans/families.yaml, noise.yaml, and breadth.yaml with -P sampler=random -P max_runs=100
    smollm2  plans/smollm2/datasets.yaml, rates.yaml, seeds.yaml
    minilm   plans/minilm/sst2.yaml, r8.yaml, sst2_seeds.yaml, r8_seeds.yaml, sst2_hp.yaml, sst2_full.yaml
"""

from __future__ import annotations

import sys
from pathlib import Path

from predictor import environment

environment.prepare()

import predictor.runs  # noqa: E402
import predictor.tasks  # noqa: E402 - declares the targets
from predictor.tracking.exchange import export_records  # noqa: E402


def main(name: str, target: str, experiments: list[str]) -> None:
    path = Path(predictor.runs.__file__).parent / f"{name}.parquet"
    count = export_records(experiments, path, target)
    print(f"{count} runs, {path.stat().st_size / 1e6:.2f} MB: {path}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
