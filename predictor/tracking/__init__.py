"""Runs into and out of the MLflow tracking store."""

from predictor.tracking.reader import read_record, read_records, record_of
from predictor.tracking.run import TrackedRun, tracked_run
from predictor.tracking.store import DEFAULT_URI, connect, experiment_id

__all__ = [
    "DEFAULT_URI",
    "TrackedRun",
    "connect",
    "experiment_id",
    "read_record",
    "read_records",
    "record_of",
    "tracked_run",
]
