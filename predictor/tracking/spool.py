"""Results that the store could not take, kept on disk and delivered later: a finished training is never lost.

Each lies in `$PREDICTOR_CACHE/spool/<run id>/`, by default under `~/.cache/finetune-predictor`: `results.json` with
metrics and tags, and the artifacts. The store is named there without its password, which whoever delivers knows anyway.
It is whole or not there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from predictor.cache import cache_folder
from predictor.files import is_aside, whole_folder
from predictor.schema import keys
from predictor.tracking.store import store_identity

_RESULTS = "results.json"
_ARTIFACTS = "artifacts"
_BATCH = 1000  # MLflow's limit


def folder() -> Path:
    """Where results wait."""
    return cache_folder() / "spool"


def waits(run_id: str) -> bool:
    """Whether results of the run lie here."""
    return (folder() / run_id / _RESULTS).is_file()


def keep(uri: str, run_id: str, metrics: Sequence[Metric], tags: Mapping[str, str], artifacts: Path) -> Path:
    """Write one run's results, in place of any that wait already; from then on they outlast a loss of power too.

    Raises:
        OSError: the disk takes nothing either.
    """
    home = folder() / run_id
    content = {
        "store": store_identity(uri),
        "run_id": run_id,
        "metrics": [[m.key, m.value, m.timestamp, m.step] for m in metrics],
        "tags": dict(tags),
    }
    with whole_folder(home, replace=True, durable=True) as aside:
        shutil.copytree(artifacts, aside / _ARTIFACTS)
        (aside / _RESULTS).write_text(json.dumps(content), encoding="utf-8")
    return home


def deliver(client: Any) -> list[str]:
    """Bring what waits for this store into it.

    A run that was meanwhile trained again elsewhere keeps that result, and what waited is dropped: one complete run for
    each configuration.

    Returns:
        One line for each result, for a person.
    """
    lines = []
    here = store_identity(str(client.tracking_uri))
    for home in sorted(folder().glob("*/")):
        if is_aside(home) or not (home / _RESULTS).is_file():
            continue
        content = json.loads((home / _RESULTS).read_text(encoding="utf-8"))
        # Before, the store was named by its whole URI.
        if (content.get("store") or store_identity(content["tracking_uri"])) == here:
            lines.append(_deliver(client, content, home))
    return lines


def _deliver(client: Any, content: Mapping[str, Any], home: Path) -> str:
    run_id = content["run_id"]
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        return f"results of run {run_id} wait in {home}: the store does not know the run ({error.message})"
    if _trained_again(client, run):
        shutil.rmtree(home)
        return f"results of run {run_id} were dropped: the configuration has been trained again meanwhile"
    client.log_artifacts(run_id, str(home / _ARTIFACTS))
    metrics = [Metric(*point) for point in content["metrics"]]
    for start in range(0, len(metrics), _BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _BATCH])
    for tag in (keys.TAG_REAPED, keys.TAG_FAILURE):
        if tag in run.data.tags:
            client.delete_tag(run_id, tag)
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in content["tags"].items()])
    client.set_terminated(run_id, "FINISHED")
    shutil.rmtree(home)
    return f"results of run {run_id} were delivered"


def _trained_again(client: Any, run: Any) -> bool:
    identity = run.data.tags.get(keys.TAG_CONFIG_HASH)
    if not identity or keys.TAG_LEASE_STATE not in run.data.tags:
        return False
    wanted = f"tags.`{keys.TAG_CONFIG_HASH}` = '{identity}' AND attributes.status = 'FINISHED'"
    others = client.search_runs([run.info.experiment_id], wanted, max_results=100)
    return any(o.info.run_id != run.info.run_id and o.data.tags.get(keys.TAG_COMPLETE) == "true" for o in others)
