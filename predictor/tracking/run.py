"""One MLflow run from start to end: params first, everything else in one batch at the end, and always a true status."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from predictor.errors import LeaseLost, PredictorError, ResultsWait, TrackingError
from predictor.masking import cause, masked
from predictor.schema import DatasetUse, RunRecord, encode, keys
from predictor.tracking import face, spool
from predictor.tracking.last_word import speak_after_mlflow_run
from predictor.tracking.lease import Lease, end_lost, forgive
from predictor.tracking.live import Live
from predictor.tracking.owner import this_process
from predictor.tracking.patience import PatientClient
from predictor.tracking.selection import experiment_ids
from predictor.tracking.store import connect, experiment_id

TRAINING_LOG = "training.log"
"""Of the artifacts, the one that a run which failed or was interrupted keeps too."""
_METRICS_PER_BATCH = 1000  # MLflow's limit
_LIVE_SECONDS = 5.0
_REASON_LENGTH = 5000  # characters; MLflow cuts a tag at 8000
_current: ContextVar[TrackedRun | None] = ContextVar("current_run", default=None)


class TrackedRun:
    """What a flow may write on its run. Made by :func:`tracked_run`.

    Files put into `artifacts` are uploaded when the run ends well, just before the final batch: a reader that sees
    `predictor.complete` finds everything in place. `continued` says that `mlflow run` made the run.
    """

    def __init__(
        self,
        client: Any,
        run_id: str,
        experiment: str,
        artifacts: Path,
        tags: Mapping[str, str],
        *,
        continued: bool,
        lease: Lease | None = None,
        system: bool = False,
    ) -> None:
        self.client = client
        self.run_id = run_id
        self.experiment_id = experiment
        self.artifacts = artifacts
        self.continued = continued
        self.lease = lease
        self._waiting = dict(tags)  # they ride on the next write, whatever it is
        self._tables: list[dict[str, str]] = []
        self._hasty = PatientClient(MlflowClient(str(client.tracking_uri)), patience_s=0.0)
        self._live = Live(self._send, _LIVE_SECONDS, system=system)
        if system:
            self._live.start()

    def describe(self, *, params: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None) -> None:
        """Write params and tags at the start, in one batch."""
        self._write(params=[Param(k, v) for k, v in (params or {}).items()], tags=tags)

    def inputs(self, datasets: Sequence[DatasetUse]) -> None:
        """Name the datasets that the run reads, as MLflow shows them: name, digest, source and number of rows."""
        inputs = []
        for each in datasets:
            entity = Dataset(
                name=each.short_name[:500],
                digest=each.digest,
                source_type="local",
                source=json.dumps({"uri": each.uri}),
                profile=json.dumps({"rows": each.rows, "refused": each.refused, "used": each.used}),
            )
            inputs.append(DatasetInput(entity, tags=[InputTag("mlflow.data.context", each.context)]))
        self.client.log_inputs(self.run_id, inputs)

    def table(self, file: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Put a table among the artifacts that the MLflow UI shows, and the tag by which it finds it."""
        content = {"columns": list(columns), "data": [list(row) for row in rows]}
        (self.artifacts / file).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        self._tables.append({"path": file, "type": "table"})
        self._waiting["mlflow.loggedArtifacts"] = json.dumps(self._tables)

    def account(self, told: Mapping[str, Any], file: str = "account.json") -> None:
        """Put what a task tells of an evaluation beyond its scores among the artifacts."""
        (self.artifacts / file).write_text(json.dumps(told, ensure_ascii=False, allow_nan=False), encoding="utf-8")

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point to curves by their full key.

        A thread sends points every few seconds, so that curves can be watched and no step waits for the store; the last
        ones go out with the final batch.
        """
        now = int(time.time() * 1000)
        self._live.add([Metric(key, value, now, step) for key, value in values.items()])

    def remark(self, text: str) -> None:
        """Say on the run, while it goes on, what is to be known of it; the latest remark stays."""
        self._live.add(tags={keys.TAG_REMARK: text[:_REASON_LENGTH]})

    def _send(self, metrics: Sequence[Metric], tags: Mapping[str, str]) -> None:
        # A store that is away must not hold up the end of the training: nothing is waited for.
        for batch in _batches(metrics) or [[]]:
            self._hasty.log_batch(self.run_id, metrics=batch, tags=[RunTag(k, v) for k, v in tags.items()])

    def finish(self, *, metrics: Mapping[str, float] | None = None, tags: Mapping[str, str] | None = None) -> None:
        """Upload the artifacts, then write all results in one batch.

        Raises:
            LeaseLost: the run is leased, and was given to another owner.
            ResultsWait: the store could not take the results; they wait on disk.
        """
        if self.lease is not None:
            self.lease.require()
        now = int(time.time() * 1000)
        curves, remarks = self._live.stop()
        results = curves + [Metric(key, value, now, 0) for key, value in (metrics or {}).items()]
        self._waiting |= remarks
        together = {**self._waiting, **(tags or {})}
        try:
            if any(self.artifacts.iterdir()):
                self.client.log_artifacts(self.run_id, str(self.artifacts))
            # The tags, and with them `predictor.complete`, ride on the last batch: never complete before all is there.
            *first, last = _batches(results) or [[]]
            for batch in first:
                self._write(metrics=batch)
            self._write(metrics=last, tags=tags)
        except (TrackingError, MlflowException) as error:
            raise self._spooled(error, results, together) from cause(error)
        self._live.taken()

    def finish_record(self, record: RunRecord) -> None:
        """Finish with a complete record."""
        encoded = encode(record)
        self.finish(metrics=encoded.metrics, tags=face.noted(record, encoded.tags))
        face.show(self.client, self.experiment_id, record)

    def foretell(self, run_id: str, name: str, value: float) -> None:
        """Write on a fine-tune what was predicted of its score before it was made, beside which the UI shows both."""
        self.client.log_metric(run_id, f"{keys.PREDICTED}{name}", value)

    def _spooled(
        self, error: TrackingError | MlflowException, metrics: Sequence[Metric], tags: Mapping[str, str]
    ) -> TrackingError:
        """The results on disk, and the error that says so; the error as it was when the disk takes nothing either."""
        uri = str(self.client.tracking_uri)
        what = error.what if isinstance(error, TrackingError) else f"the store refused the results ({error.message})"
        try:
            home = spool.keep(uri, self.run_id, metrics, tags, self.artifacts)
        except OSError as full:
            return TrackingError(f"{what}; nor could the results be kept on disk: {full}", where=uri)
        return ResultsWait(
            f"{what}; the results are kept",
            where=str(home),
            rule="results that a store cannot take wait on disk",
            fix="when the store is back, start any run against it: what waits is delivered first",
        )

    def _write(
        self, *, params: Sequence[Param] = (), metrics: Sequence[Metric] = (), tags: Mapping[str, str] | None = None
    ) -> None:
        together = [RunTag(k, v) for k, v in {**self._waiting, **(tags or {})}.items()]
        self._waiting = {}
        if params or metrics or together:
            self.client.log_batch(self.run_id, params=list(params), metrics=list(metrics), tags=together)

    def mark_waiting(self, reason: str) -> None:
        """Mark a run whose results wait on disk as FAILED until they are delivered, if the store takes as much as that.

        Where it does not, the run stays RUNNING until the reaper finds it or the results come.
        """
        with contextlib.suppress(Exception):
            self._hasty.set_tag(self.run_id, keys.TAG_FAILURE, reason[:_REASON_LENGTH])
            self._hasty.set_terminated(self.run_id, "FAILED")

    def close(self, status: str, failure: str | None) -> None:
        """Give the run its final status, and the reason when it failed; then what is left of its curves and its log."""
        curves, remarks = self._live.stop()
        self._waiting |= remarks
        if status != "FINISHED":
            with contextlib.suppress(Exception):  # the reason matters more
                self._send(curves, {})
                if (log := self.artifacts / TRAINING_LOG).is_file():
                    self._hasty.log_artifact(self.run_id, str(log))
        self._write(tags={keys.TAG_FAILURE: masked(failure)[:_REASON_LENGTH]} if failure else None)
        self.client.set_terminated(self.run_id, status)
        if status == "FINISHED" and self.lease is not None:
            self.lease.retract()
        elif status == "FINISHED":
            forgive(self.client, self.run_id)
        if status == "KILLED" and self.continued:
            speak_after_mlflow_run(str(self.client.tracking_uri), self.run_id)


@contextmanager
def tracked_run(
    kind: str,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    run_name: str | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    lease: Lease | None = None,
) -> Iterator[TrackedRun]:
    """A run that ends FINISHED, FAILED with its reason in a tag, or KILLED.

    Inside another tracked run it is a child of it; a fine-tune is linked to it by a tag of ours, because the UI folds
    children away. The outermost one continues the run that `mlflow run` has made.

    Args:
        kind: the tag `predictor.kind`.
        run_name: of a run that is made here, or was made by `mlflow run` without a name.
        params: written at once. tags: made with the run; on one that was claimed they ride on the first write, at the
            latest on the last.
        lease: of a run that was claimed before; that run is the one written on.

    Raises:
        TrackingError: the store cannot be reached. Whatever the block raises is raised again.
    """
    parent = _current.get()
    uri = connect(tracking_uri) if lease is None and (parent is None or tracking_uri) else None
    client = lease.client if lease else PatientClient(MlflowClient(uri)) if parent is None else parent.client
    if parent is None and lease is None:
        spool.deliver(client)
        end_lost(client, experiment_ids(client, None))
    continued = lease is None and parent is None and "MLFLOW_RUN_ID" in os.environ
    opening = {keys.TAG_KIND: kind, keys.TAG_SCHEMA: str(keys.SCHEMA_VERSION), **(tags or {})}
    if lease is None:
        # Its owner is on the run from its first instant: a process that is killed before its first write is found too.
        opening[keys.TAG_OWNER] = this_process()
        run_id, home = _open(client, parent, experiment, run_name, opening)
        opening = {}
    else:
        run_id, home = lease.run_id, lease.experiment_id
    with tempfile.TemporaryDirectory(prefix="predictor-run-") as folder:
        system = kind == keys.KIND_FINETUNE
        run = TrackedRun(client, run_id, home, Path(folder), opening, continued=continued, lease=lease, system=system)
        token = _current.set(run)
        status, failure = "FINISHED", None
        ours = True
        try:
            if parent is None:
                face.dress(client, home)
            if continued and run_name:
                face.name_run(client, run_id, run_name)
            if params:
                run.describe(params=params)
            yield run
        except LeaseLost:
            ours = False
            raise
        except ResultsWait as error:
            ours = False
            run.mark_waiting(error.one_line())
            raise
        except PredictorError as error:
            status, failure = "FAILED", error.one_line()
            raise
        except KeyboardInterrupt as error:
            status, failure = "KILLED", f"interrupted by {getattr(error, 'signal_name', 'SIGINT')}"
            raise
        except SystemExit as error:
            if error.code:
                status, failure = "FAILED", f"exit code {error.code}"
            raise
        except BaseException as error:
            status, failure = "FAILED", f"{type(error).__name__}: {error}"
            raise
        finally:
            _current.reset(token)
            if ours:
                run.close(status, failure)


def _batches(metrics: Sequence[Metric]) -> list[Sequence[Metric]]:
    return [metrics[start : start + _METRICS_PER_BATCH] for start in range(0, len(metrics), _METRICS_PER_BATCH)]


def _open(
    client: Any, parent: TrackedRun | None, experiment: str | None, run_name: str | None, opening: Mapping[str, str]
) -> tuple[str, str]:
    given = os.environ.get("MLFLOW_RUN_ID") if parent is None else None
    if given:
        try:
            run = client.get_run(given)
        except MlflowException as error:
            raise TrackingError(
                f"the run {given} that `mlflow run` made is not in this tracking store",
                where=str(client.tracking_uri),
                rule="`mlflow run` and the entry point must see the same store",
                fix="a relative sqlite:/// path depends on the folder: start `mlflow run .` in the project, or set "
                "MLFLOW_TRACKING_URI to an absolute path",
            ) from cause(error)
        os.environ.pop("MLFLOW_RUN_ID")  # a later run in this process is a run of its own
        client.log_batch(given, tags=[RunTag(key, value) for key, value in opening.items()])
        return given, str(run.info.experiment_id)
    tags = {"mlflow.source.name": "predictor", "mlflow.source.type": "LOCAL", **opening}
    if parent is not None:
        tags[keys.TAG_PARENT if opening[keys.TAG_KIND] == keys.KIND_FINETUNE else "mlflow.parentRunId"] = parent.run_id
    owner = experiment_id(client, experiment) if experiment or parent is None else parent.experiment_id
    created = client.create_run(owner, run_name=run_name, tags=tags)
    return str(created.info.run_id), owner
