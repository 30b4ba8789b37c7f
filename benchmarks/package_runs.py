r"""Runs as they come with the package: `python -m benchmarks.package_runs SET TARGET EXPERIMENT [EXPERIMENT ...]`.

Takes the complete fine-tunes of the experiments out of the store in MLFLOW_TRACKING_URI and writes
`predictor/runs/SET.parquet`. `STORE#EXPERIMENT` names one of another store; runs on several machines become one set.
They were made by `mlflow run . -e sweep --experiment-name SET -P plan=PLAN -P workers=2`
with these plans:

    lab      benchmarks/lab_plans/families.yaml, noise.yaml, and breadth.yaml with -P sampler=random -P max_runs=100
    smollm2  plans/smollm2/datasets.yaml on two cores, and again in part on a GPU; of rates.yaml and seeds.yaml seven
    minilm   plans/minilm/sst2.yaml, r8.yaml, sst2_seeds.yaml, r8_seeds.yaml, sst2_hp.yaml, sst2_full.yaml
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from predictor import environment

environment.prepare()

import predictor.runs  # noqa: E402
import predictor.tasks  # noqa: E402 - declares the targets
from predictor.schema.archive import read_archive, write_archive  # noqa: E402
from predictor.tracking.exchange import export_records  # noqa: E402


def main(name: str, target: str, experiments: list[str]) -> None:
    path = Path(predictor.runs.__file__).parent / f"{name}.parquet"
    stores: dict[str | None, list[str]] = {}
    for each in experiments:
        where, _, experiment = each.rpartition("#")
        stores.setdefault(where or None, []).append(experiment)
    with tempfile.TemporaryDirectory() as folder:
        parts = []
        for number, (store, of_store) in enumerate(stores.items()):
            part = Path(folder) / f"{number}.parquet"
            print(f"{export_records(of_store, part, target, store)} runs of {', '.join(of_store)}")
            parts.append(read_archive(part))
        if len({part.about["base_model_digest"] for part in parts}) != 1:
            raise SystemExit("the runs are of several base models; a set is of one")
        records = [record for part in parts for record in part.records]
        configs = [config for part in parts for config in part.configs]
        revisions = {revision for part in parts for revision in part.about["code_revisions"].split(",")}
        about = {
            "base_model_digest": parts[0].about["base_model_digest"],
            "code_revisions": ",".join(sorted(revisions)),
            "date": max(part.about["date"] for part in parts),
            "runs": str(len(records)),
        }
        write_archive(path, records, configs, about)
    print(f"{len(records)} runs, {path.stat().st_size / 1e6:.2f} MB: {path}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
