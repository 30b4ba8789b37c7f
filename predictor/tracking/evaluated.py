"""A fine-tune out of its run, to be evaluated, and what the evaluation writes back to it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from predictor.errors import TrackingError
from predictor.masking import cause
from predictor.schema import RunRecord, keys
from predictor.tracking.face import NOTE_TAG
from predictor.tracking.patience import PatientClient
from predictor.tracking.reader import record_of
from predictor.tracking.store import connect

CONFIG = "config.json"
RESULT = "evaluation.json"
REPORT = "report.html"
_CURVES = ("train/loss", "eval/loss")
_MARK = "**Evaluation:**"


@dataclass(frozen=True)
class FinetuneRun:
    """A fine-tune as its run holds it.

    Attributes:
        name, experiment: of the run, and the name of its experiment.
        config: the configuration in sections, as the run keeps it.
        curves: (step, value) by key, in the order of the steps.
    """

    record: RunRecord
    name: str
    experiment: str
    config: Mapping[str, Any]
    curves: Mapping[str, Sequence[tuple[int, float]]]


def read_finetune(run_id: str, folder: Path, *, tracking_uri: str | None = None) -> FinetuneRun:
    """A fine-tune that ended well.

    Args:
        folder: to put the run's files into.

    Raises:
        TrackingError: no such run, one that is no fine-tune, one that failed or has not ended, or whose configuration
            is not among its artifacts.
    """
    client = PatientClient(MlflowClient(connect(tracking_uri)))
    run = _run(client, run_id)
    record = record_of(run)
    if record.kind != keys.KIND_FINETUNE:
        raise TrackingError(
            f"run {run_id} is no fine-tune but of kind {record.kind}",
            where="-P run_id",
            rule="an evaluation is of a fine-tune",
            fix="name the run that `mlflow run . -e finetune` has printed",
        )
    if record.status != "FINISHED" or not record.complete:
        reason = f": {record.failure}" if record.failure else ""
        raise TrackingError(
            f"the fine-tune {run_id} has not ended well ({record.status}{reason})",
            where="-P run_id",
            rule="only a fine-tune that is FINISHED and complete is evaluated",
            fix="train it again; a sweep of its plan does",
        )
    try:
        config = json.loads(fetch(client, run_id, CONFIG, folder).read_text(encoding="utf-8"))
        curves = {
            key: [(int(point.step), float(point.value)) for point in client.get_metric_history(run_id, key)]
            for key in _CURVES
        }
    except (OSError, ValueError) as error:
        raise TrackingError(f"the run's {CONFIG} cannot be read: {error}", where=f"run {run_id}") from error
    experiment = client.get_experiment(run.info.experiment_id).name
    return FinetuneRun(record, str(run.info.run_name), experiment, config, {k: sorted(v) for k, v in curves.items()})


def weights_of(run_id: str, name: str, folder: Path, *, tracking_uri: str | None = None) -> Path:
    """The folder of a fine-tune's weights, brought from its run.

    Raises:
        TrackingError: the run has no such folder, or it cannot be read.
    """
    return fetch(PatientClient(MlflowClient(connect(tracking_uri))), run_id, name, folder)


def fetch(client: Any, run_id: str, name: str, folder: Path) -> Path:
    """A file or folder among a run's artifacts.

    Raises:
        TrackingError: it is not there, or the artifact store does not answer.
    """
    try:
        present = {artifact.path for artifact in client.list_artifacts(run_id)}
        if name in present:
            return Path(client.download_artifacts(run_id, name, str(folder)))
    except (MlflowException, OSError) as error:
        raise TrackingError(
            f"the artifacts of run {run_id} cannot be read ({type(error).__name__}: {error})",
            where=f"run {run_id}, {name}",
            rule="the files as the run wrote them",
            fix="make the artifact store reachable and try again",
        ) from cause(error)
    raise TrackingError(
        f"run {run_id} has no {name} among its artifacts",
        where=f"run {run_id}",
        rule=f"its artifacts: {', '.join(sorted(present)) or 'none'}",
        fix="an imported run has no weights; train it here, or name the weights: -P adapter=FOLDER -P base_model=…",
    )


def write_back(
    run_id: str,
    scores: Mapping[str, float],
    evaluation: str,
    verdict: str,
    rule: str,
    *,
    tracking_uri: str | None = None,
) -> None:
    """Make scores of an evaluation scores of its fine-tune, and link the two.

    The end of the run moves by a millisecond: whoever keeps copies of runs that have ended reads it anew.

    Args:
        evaluation: id of the evaluation's run.
    """
    client = PatientClient(MlflowClient(connect(tracking_uri)))
    run = client.get_run(run_id)
    now = int(time.time() * 1000)
    line = f"{_MARK} {verdict}: {rule} ([report]({report_page(run, evaluation)}))"
    before = run.data.tags.get(NOTE_TAG, "").split(f"  \n{_MARK}")[0]
    tags = {
        keys.TAG_EVALUATED: evaluation,
        keys.TAG_VERDICT: verdict,
        NOTE_TAG: f"{before}  \n{line}" if before else line,
    }
    client.log_batch(
        run_id,
        metrics=[Metric(f"{keys.SCORE}{name}", value, now, 0) for name, value in scores.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
    )
    ended = run.info.end_time
    client.set_terminated(run_id, run.info.status, end_time=(ended or now) + 1)


def report_page(run: Any, evaluation: str) -> str:
    """The address of an evaluation's page within the UI, beside its fine-tune's experiment."""
    return f"#/experiments/{run.info.experiment_id}/runs/{evaluation}/artifacts/{REPORT}"


def read_evaluation(run_id: str, folder: Path, *, tracking_uri: str | None = None) -> dict[str, Any]:
    """What the latest evaluation of a fine-tune has kept; also the evaluation's own run may be named.

    Raises:
        TrackingError: no such run, or one that was not evaluated.
    """
    client = PatientClient(MlflowClient(connect(tracking_uri)))
    tags = _run(client, run_id).data.tags
    own = tags.get(keys.TAG_KIND) == keys.KIND_EVALUATION
    evaluation = run_id if own else tags.get(keys.TAG_EVALUATED, "")
    if not evaluation:
        raise TrackingError(
            f"run {run_id} was not evaluated",
            where="-P compare",
            rule="fine-tunes that have an evaluation, or evaluations",
            fix=f"mlflow run . -e evaluate -P run_id={run_id}",
        )
    path = fetch(client, evaluation, RESULT, folder)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrackingError(f"the evaluation cannot be read: {error}", where=f"run {evaluation}, {RESULT}") from error
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    return dict(stored)


def _run(client: Any, run_id: str) -> Any:
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        raise TrackingError(
            f"there is no run '{run_id}'",
            where=str(client.tracking_uri),
            rule="the id of a run in this tracking store",
            fix="copy it from the run's page, or set MLFLOW_TRACKING_URI to the store that has it",
        ) from cause(error)
