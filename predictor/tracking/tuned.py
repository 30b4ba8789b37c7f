"""The tuned weights of a run, out of its artifacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from predictor.errors import TrackingError
from predictor.masking import cause
from predictor.schema import RunRecord, keys
from predictor.tracking.reader import record_of
from predictor.tracking.store import connect

FOLDERS: Final = ("adapter", "model")
"""Where methods keep what they made."""


@dataclass(frozen=True)
class TunedRun:
    """A fine-tune and its weights on this machine.

    Attributes:
        folder: with the adapter, or the whole model.
        config: the configuration as the run stored it; empty of a run that stored none.
        model_digest: of the whole base, empty when the run did not say.
    """

    record: RunRecord
    folder: Path
    config: Mapping[str, Any]
    model_digest: str


def fetch_tuned(run_id: str, *, tracking_uri: str | None = None) -> TunedRun:
    """The weights of a fine-tune. From a store on this machine they are read where they lie, else downloaded.

    Raises:
        TrackingError: there is no such run, it is no fine-tune that ended well, or it holds no weights.
    """
    uri = connect(tracking_uri)
    client = MlflowClient(uri)
    try:
        run = client.get_run(run_id)
        record = record_of(run)
        names = {artifact.path for artifact in client.list_artifacts(run_id)}
        chosen = next((folder for folder in FOLDERS if folder in names), None)
        if record.kind != keys.KIND_FINETUNE or not record.complete or chosen is None:
            raise TrackingError(
                f"run {run_id} has no tuned weights: {_why(record, chosen)}",
                where=uri,
                rule="a fine-tune that ended well keeps them as the artifact adapter/ or model/",
                fix="name another run, or the folder of an adapter",
            )
        folder = Path(client.download_artifacts(run_id, chosen))
        config = json.loads(Path(client.download_artifacts(run_id, "config.json")).read_text(encoding="utf-8"))
    except (MlflowException, OSError, ValueError) as error:
        what = error.message if isinstance(error, MlflowException) else str(error)
        raise TrackingError(
            f"the weights of run {run_id} cannot be fetched: {what.splitlines()[0]}",
            where=uri,
            rule="a run of this tracking store",
            fix="check the run's id and MLFLOW_TRACKING_URI",
        ) from cause(error)
    return TunedRun(record, folder, config, run.data.tags.get(keys.TAG_MODEL_DIGEST, ""))


def _why(record: RunRecord, folder: str | None) -> str:
    if record.kind != keys.KIND_FINETUNE:
        return f"its kind is {record.kind}"
    if not record.complete:
        return f"its status is {record.status} and its results are incomplete"
    return "an imported run has none" if folder is None else ""


def card_lines(record: RunRecord) -> dict[str, str]:
    """What a fine-tune tells of itself in the card of a model that was made from it."""
    hp = ", ".join(f"{name} {value}" for name, value in sorted(record.hp.items()))
    scores = ", ".join(f"{name} {value:.4g}" for name, value in sorted(record.scores.items()))
    rows = f" ({record.train_limit} of its rows)" if record.train_limit else ""
    return {
        "task": record.task,
        "tuned on": f"{record.dataset}{rows}, fingerprint `{record.dataset_fingerprint}`",
        "hyperparameters": hp,
        "seed": str(record.seed),
        "scores": f"{scores}; on {record.eval_dataset}",
    }
