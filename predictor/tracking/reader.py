"""Runs out of the tracking store, as records."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from predictor.errors import TrackingError
from predictor.schema import RunRecord, decode, keys
from predictor.tracking.store import connect

_PAGE = 1000


def read_records(
    experiment_names: Sequence[str] | None = None,
    *,
    kind: str | None = keys.KIND_FINETUNE,
    parent: str | None = None,
    tracking_uri: str | None = None,
) -> list[RunRecord]:
    """Every run of ours of one kind, oldest first.

    Args:
        experiment_names: experiments to read; all when None.
        kind: `finetune`, `probe`, ... or None for every kind.
        parent: id of a run; only its child runs are read.

    Raises:
        TrackingError: the store does not answer, or an experiment does not exist.
        SchemaError: a run was written under a schema version that this package does not know.
    """
    client = MlflowClient(connect(tracking_uri))
    experiments = _experiments(client, experiment_names)
    wanted = f"tags.`{keys.TAG_KIND}` = '{kind}'" if kind else f"tags.`{keys.TAG_SCHEMA}` LIKE '%'"
    if parent:
        wanted += f" AND tags.`mlflow.parentRunId` = '{parent}'"
    records: list[RunRecord] = []
    token = None
    while experiments:
        page = client.search_runs(
            experiments,
            filter_string=wanted,
            run_view_type=ViewType.ACTIVE_ONLY,
            max_results=_PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        records += [record_of(run) for run in page]
        token = page.token
        if not token:
            break
    return records


def read_record(run_id: str, *, tracking_uri: str | None = None) -> RunRecord:
    """One run by its id."""
    return record_of(MlflowClient(connect(tracking_uri)).get_run(run_id))


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


def _experiments(client: MlflowClient, names: Sequence[str] | None) -> list[str]:
    found = client.search_experiments(view_type=ViewType.ACTIVE_ONLY)
    by_name = {experiment.name: str(experiment.experiment_id) for experiment in found}
    if names is None:
        return list(by_name.values())
    for name in names:
        if name not in by_name:
            raise TrackingError(
                f"experiment '{name}' does not exist",
                where=str(client.tracking_uri),
                rule=f"experiments: {', '.join(sorted(by_name))}",
                fix="check the name, or leave it out to read all experiments",
            )
    return [by_name[name] for name in names]
