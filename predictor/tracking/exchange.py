"""Runs out of a store into one file, and from such a file into anybody's store."""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from predictor.errors import TableError
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, encode, keys, run_title
from predictor.schema.archive import read_archive, write_archive
from predictor.tracking import face
from predictor.tracking.owner import this_process
from predictor.tracking.patience import PatientClient
from predictor.tracking.reader import read_records
from predictor.tracking.store import connect, experiment_id


def import_records(
    path: Path,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    without: Sequence[str] = (),
) -> tuple[int, int]:
    """Write the runs of a file into an experiment, with the times at which they were made.

    Runs that are there already are left alone, so that a second import adds only what is missing.

    Args:
        without: runs whose dataset's name has one of these texts are left out, and not counted.

    Returns:
        Runs written, and runs that were there.

    Raises:
        TableError: `without` leaves nothing. SchemaError: the file is no archive of runs.
        TrackingError: the store cannot be reached.
    """
    archive = read_archive(path)
    records = [each for each in archive.records if not any(text in each.dataset for text in without)]
    if not records:
        raise TableError(
            f"none of its {len(archive.records)} runs is left",
            where=f"{path}, without {', '.join(without)}",
            rule="a dataset's name that has one of the texts leaves its runs out",
            fix="leave fewer out",
        )
    client = PatientClient(MlflowClient(connect(tracking_uri)))
    home = experiment_id(client, experiment)
    name = client.get_experiment(home).name
    present = {
        r.config_hash for r in read_records([name], tracking_uri=tracking_uri) if r.status == "FINISHED" and r.complete
    }
    missing = [record for record in records if record.config_hash not in present]
    progress.stage("import", len(missing))
    for record in missing:
        _write(client, home, record, path.name)
        progress.advance(1)
    face.dress(client, home)
    for record in missing[-1:]:
        face.show(client, home, record)
    return len(missing), len(records) - len(missing)


def _write(client: Any, experiment: str, record: RunRecord, origin: str) -> None:
    """A run that ended elsewhere, as it would stand here had it been made here.

    All of it goes in one batch: unlike a run that is being made, it has no curves, no artifacts, no owner and no moment
    at which it could be half done.
    """
    encoded = encode(record)
    created = client.create_run(
        experiment,
        start_time=record.start_time,
        run_name=run_title(record.dataset, record.method, record.hp, record.seed),
        tags={keys.TAG_IMPORTED: origin, keys.TAG_OWNER: this_process()},
    )
    end = record.start_time + round(1000 * record.costs.get("total_s", 0.0))
    client.log_batch(
        created.info.run_id,
        params=[Param(key, value) for key, value in encoded.params.items()],
        metrics=[Metric(key, value, end, 0) for key, value in encoded.metrics.items()],
        tags=[RunTag(key, value) for key, value in face.noted(record, encoded.tags).items()],
    )
    client.set_terminated(created.info.run_id, record.status, end_time=end)


def export_records(
    experiments: Sequence[str], path: Path, target: str = "score/exact_match", tracking_uri: str | None = None
) -> int:
    """Write the complete fine-tunes of experiments into a file that :func:`import_records` takes.

    Returns:
        The number of runs.

    Raises:
        TableError: there are none, or they are of several base models.
    """
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
    write_archive(path, records, configs, about)
    return len(records)


def _config_of(record: RunRecord, tracking_uri: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = MlflowClient(connect(tracking_uri)).download_artifacts(record.run_id, "config.json", folder)
        config: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return config
