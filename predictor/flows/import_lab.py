"""The story of the package's own fine-tunes: from a file into the tracking store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from predictor.config import check, param
from predictor.progress import SILENT, Progress


@dataclass(frozen=True)
class ImportLabConfig:
    """Which file of runs goes into the tracking store."""

    file: str = param("", "a .parquet file of runs; empty takes those that come with the package")


def import_lab(
    config: ImportLabConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> tuple[int, int]:
    """Write the runs of the file into an experiment; see :func:`predictor.tracking.exchange.import_records`.

    Returns:
        Runs written, and runs that were there.

    Raises:
        SchemaError: the file is no archive of runs. TrackingError: the store cannot be reached.
    """
    from predictor.lab import runs_path
    from predictor.tracking.exchange import import_records

    check(config)
    path = Path(config.file) if config.file else runs_path()
    return import_records(path, progress, experiment=experiment, tracking_uri=tracking_uri)
