"""An MLflow run as a record."""

from __future__ import annotations

from mlflow.entities import Run

from predictor.schema import RunRecord, decode


def record_of(run: Run) -> RunRecord:
    """An MLflow run as a record."""
    return decode(
        run.data.params,
        run.data.metrics,
        run.data.tags,
        run_id=run.info.run_id,
        status=run.info.status,
        start_time=run.info.start_time,
    )
