r"""The lab's runs as they come with the package: `python -m benchmarks.lab_table EXPERIMENT [EXPERIMENT ...]`.

Takes the complete fine-tunes of the experiments out of the store in MLFLOW_TRACKING_URI and writes
`predictor/lab/runs.parquet`. They were made by

    mlflow run . -e sweep --experiment-name lab -P plan=benchmarks/lab_plans/families.yaml -P workers=2
    mlflow run . -e sweep --experiment-name lab -P plan=benchmarks/lab_plans/noise.yaml -P workers=2
    mlflow run . -e sweep --experiment-name lab -P plan=benchmarks/lab_plans/breadth.yaml -P workers=2 \
        -P sampler=random -P max_runs=100
"""

from __future__ import annotations

import sys

from predictor import environment

environment.prepare()

from predictor.lab import runs_path  # noqa: E402
from predictor.tracking.exchange import export_records  # noqa: E402


def main(experiments: list[str]) -> None:
    path = runs_path()
    count = export_records(experiments, path)
    print(f"{count} runs, {path.stat().st_size / 1e6:.2f} MB: {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
