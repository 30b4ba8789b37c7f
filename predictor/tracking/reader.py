"""Runs out of the tracking store, as records."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mlflow import MlflowClient
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException

from predictor.errors import TrackingError
from predictor.masking import cause, masked
from predictor.schema import RunRecord, keys
from predictor.schema.records import Records
from predictor.tracking import served, windows
from predictor.tracking.lease import end_lost
from predictor.tracking.one import record_of
from predictor.tracking.selection import Selection, experiment_ids
from predictor.tracking.store import connect

_log = logging.getLogger(__name__)
_said: set[str] = set()


def read_records(
    experiment_names: Sequence[str] | None = None,
    *,
    kind: str | None = keys.KIND_FINETUNE,
    parent: str | None = None,
    tracking_uri: str | None = None,
) -> Records:
    """Every active run of ours of one kind, oldest first, ties by run id.

    SQLite and PostgreSQL are read directly, with a local copy of the values of runs that have ended
    (:mod:`predictor.tracking.cache` says what it guarantees); any other store through MLflow's search, of a server only
    what has changed (:mod:`predictor.tracking.served`). All give the same records. A database whose tables are not
    those of the installed MLflow is searched too, with a warning.

    Before that, runs are ended whose process is gone (:func:`predictor.tracking.lease.end_lost`).

    Args:
        experiment_names: experiments to read; all when None.
        kind: `finetune`, `probe`, ... or None for every kind.
        parent: id of a run; only its child runs are read.

    Raises:
        TrackingError: the store does not answer, or an experiment does not exist.
        SchemaError: a run was written under a schema version that this package does not know.
    """
    uri = connect(tracking_uri)
    client = MlflowClient(uri)
    try:
        selection = Selection(experiment_ids(client, experiment_names), kind, parent)
        end_lost(client, selection.experiments)
        if uri.startswith("http") and served.keeps(selection):
            return served.read(uri, client, selection)
        records = _directly(uri, selection) if _is_database(uri) else None
        return _searched(client, selection) if records is None else records
    except MlflowException as error:
        raise TrackingError(
            f"the tracking store stopped answering while runs were read ({error.message})",
            where=uri,
            rule="the store must answer until all runs are read: a part of them would teach another predictor",
            fix="try again; for a server, look into its log",
        ) from cause(error)


def read_record(run_id: str, *, tracking_uri: str | None = None) -> RunRecord:
    """One run by its id."""
    return record_of(MlflowClient(connect(tracking_uri)).get_run(run_id))


def _searched(client: MlflowClient, selection: Selection) -> Records:
    records = {run.info.run_id: record_of(run) for run in windows.search(client, selection)}
    return Records.of(sorted(records.values(), key=lambda record: (record.start_time, record.run_id)))


def _directly(uri: str, selection: Selection) -> Records | None:
    """The records, or None when the database has to be searched instead."""
    from sqlalchemy.exc import SQLAlchemyError

    from predictor.tracking import direct

    if not selection.experiments:
        return Records.of([])
    try:
        return direct.read(uri, selection)
    except (direct.Unreadable, SQLAlchemyError) as error:
        reason = masked(error).splitlines()[0]
    if reason not in _said:
        _said.add(reason)
        _log.warning("the tracking database is read through MLflow's search, which is slower: %s", reason)
    return None


def _is_database(uri: str) -> bool:
    """Whether the direct way is open: a workspace hides runs from each other by rules that only MLflow knows."""
    from predictor.tracking.database import BACKENDS

    return uri.startswith(BACKENDS) and not MLFLOW_ENABLE_WORKSPACES.get()
