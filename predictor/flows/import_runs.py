"""The story of the package's own fine-tunes: from a file into the tracking store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from predictor.config import check, param, split_list
from predictor.progress import SILENT, Progress
from predictor.runs import told


@dataclass(frozen=True)
class ImportRunsConfig:
    """Which runs go into the tracking store."""

    set: str = param("lab", f"runs that come with the package: {told()}")
    file: str = param("", "a .parquet file of runs instead of those of the package")
    without: str = param(
        "", "texts separated by commas; runs whose dataset's name has one of them stay out, to be predicted as new"
    )


def import_runs(
    config: ImportRunsConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> tuple[int, int]:
    """Write the runs of the file into an experiment; see :func:`predictor.tracking.exchange.import_records`.

    Returns:
        Runs written, and runs that were there.

    Raises:
        ConfigError: the package has no such set. SchemaError: the file is no archive of runs. TrackingError: the store
            cannot be reached.
    """
    from predictor.runs import runs_path
    from predictor.tracking.exchange import import_records

    check(config)
    path = Path(config.file) if config.file else runs_path(config.set)
    without = split_list(config.without)
    return import_records(path, progress, experiment=experiment, tracking_uri=tracking_uri, without=without)
