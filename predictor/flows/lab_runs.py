"""The lab's own fine-tunes: out of a store into one file, and from that file into anybody's store."""

from __future__ import annotations

import dataclasses
import datetime
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.config import FinetuneConfig, check, param
from predictor.errors import TableError
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, keys

_TAG_IMPORTED = "predictor.imported"


@dataclass(frozen=True)
class ImportLabConfig:
    """Which file of runs goes into the tracking store."""

    file: str = param("", "a .parquet file of runs; empty takes those that come with the package")


def lab_runs_path() -> Path:
    """The file of runs that comes with the package."""
    from predictor.lab import base_model_path

    return base_model_path().parent / "runs.parquet"


def import_lab(
    config: ImportLabConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> tuple[int, int]:
    """Write the runs of the file into an experiment, with the times at which they were made.

    Runs that are there already are left alone, so that a second import adds only what is missing.

    Returns:
        Runs written, and runs that were there.

    Raises:
        SchemaError: the file is no archive of runs. TrackingError: the store cannot be reached.
    """
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    from predictor.schema import encode
    from predictor.schema.archive import read_archive
    from predictor.tracking import connect, experiment_id, read_records
    from predictor.tracking.owner import this_process
    from predictor.tracking.patience import PatientClient

    check(config)
    path = Path(config.file) if config.file else lab_runs_path()
    archive = read_archive(path)
    client = PatientClient(MlflowClient(connect(tracking_uri)))
    home = experiment_id(client, experiment)
    name = client.get_experiment(home).name
    present = {
        r.config_hash for r in read_records([name], tracking_uri=tracking_uri) if r.status == "FINISHED" and r.complete
    }
    opening = {_TAG_IMPORTED: path.name, keys.TAG_OWNER: this_process()}
    missing = [record for record in archive.records if record.config_hash not in present]
    progress.stage("import", len(missing))
    for record in missing:
        encoded = encode(record)
        created = client.create_run(home, start_time=record.start_time, run_name=_name(record), tags=opening)
        run_id = created.info.run_id
        end = record.start_time + round(1000 * record.costs.get("total_s", 0.0))
        client.log_batch(
            run_id,
            params=[Param(key, value) for key, value in encoded.params.items()],
            metrics=[Metric(key, value, end, 0) for key, value in encoded.metrics.items()],
            tags=[RunTag(key, value) for key, value in encoded.tags.items()],
        )
        client.set_terminated(run_id, "FINISHED", end_time=end)
        progress.advance(1)
    return len(missing), len(archive.records) - len(missing)


def export_lab(experiments: Sequence[str], path: Path, tracking_uri: str | None = None) -> int:
    """Write the complete fine-tunes of experiments on the lab's base into a file that `import_lab` takes.

    Returns:
        The number of runs.

    Raises:
        TableError: there are none, or they are of several base models.
    """
    from predictor.schema.archive import write_archive
    from predictor.tracking import read_records

    target = f"{keys.SCORE}exact_match"
    by_identity: dict[str, RunRecord] = {}
    for record in read_records(experiments, tracking_uri=tracking_uri):
        if record.ineligible(target) is None:
            by_identity.setdefault(record.config_hash, record)
    records = sorted(by_identity.values(), key=lambda record: (record.start_time, record.run_id))
    digests = {record.base_model_digest for record in records}
    if len(digests) != 1:
        raise TableError(
            f"{len(records)} runs of {len(digests)} base models",
            where=", ".join(experiments),
            rule="one or more complete runs, all of one base model",
        )
    configs = [_config_of(record, tracking_uri) for record in records]
    day = datetime.datetime.fromtimestamp(records[-1].start_time / 1000, datetime.UTC).date().isoformat()
    about = {
        "base_model_digest": digests.pop(),
        "code_revisions": ",".join(sorted({record.code_revision for record in records})),
        "date": day,
        "runs": str(len(records)),
    }
    write_archive(path, [dataclasses.replace(record, base_model="lab") for record in records], configs, about)
    return len(records)


def rerun(record: RunRecord, config: dict[str, Any], tracking_uri: str, experiment: str) -> RunRecord:
    """The fine-tune of an archived run once more, on this machine."""
    from predictor.flows.finetune import finetune

    known = {field.name for field in dataclasses.fields(FinetuneConfig)}
    values = {name: value for name, value in config.items() if name in known}
    return finetune(FinetuneConfig(**values), experiment=experiment, tracking_uri=tracking_uri)


def _config_of(record: RunRecord, tracking_uri: str | None) -> dict[str, Any]:
    from mlflow import MlflowClient

    from predictor.tracking import connect

    with tempfile.TemporaryDirectory() as folder:
        path = MlflowClient(connect(tracking_uri)).download_artifacts(record.run_id, "config.json", folder)
        config: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return config


def _name(record: RunRecord) -> str:
    return f"{record.dataset} r{record.hp['lora_r']} lr{record.hp['learning_rate']:g} s{record.seed}"
