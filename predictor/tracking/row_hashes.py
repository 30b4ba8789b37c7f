"""The row hashes of large datasets, which their runs have among their artifacts: read when groups are made."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from mlflow import MlflowClient

from predictor.cache import cache_folder
from predictor.data.fingerprint import is_short
from predictor.data.row_hashes import FILE, write_row_hashes
from predictor.data.row_hashes import read_row_hashes as read_file
from predictor.errors import TrackingError
from predictor.schema import RunRecord
from predictor.schema.codec import split_sketch
from predictor.schema.records import Records
from predictor.tracking.store import connect

_ASKED = 3
"""Runs of one dataset that are asked for the file. All runs of this version have it, and none of an earlier one."""


def read_row_hashes(
    records: Iterable[RunRecord], tracking_uri: str | None = None
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Row sketch → the row hashes that some run on the same dataset has kept, (hashes,) sorted integers.

    Read once from the store; later from `$PREDICTOR_CACHE/row_hashes`, by default under `~/.cache/finetune-predictor`.
    Equal sketches are of equal rows, so a file is good for ever, and deleting the folder is always safe.

    Returns:
        The hashes, and the names of the large datasets of which no run has any.

    Raises:
        TrackingError: a run has the file, and it cannot be read.
    """
    runs = Records.of(records)
    sketches = runs.columns["row_sketch"].used()
    short = [code for code, text in enumerate(sketches.distinct) if is_short(split_sketch(text))]
    found: dict[str, np.ndarray] = {}
    without = []
    client = None
    for code in short:
        text = sketches.distinct[code]
        cached = cache_folder() / "row_hashes" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.parquet"
        hashes = _cached(cached)
        if hashes is None:
            client = client or MlflowClient(connect(tracking_uri))
            rows = np.flatnonzero(sketches.codes == code)[::-1].tolist()
            ended = [runs.run_ids[row] for row in rows if runs.columns["complete"][row]]
            hashes = _from_runs(client, ended[:_ASKED])
            if hashes is None:
                without.append(runs.columns["dataset"][rows[0]])
                continue
            write_row_hashes(cached, hashes)
        found[text] = hashes
    return found, without


def _from_runs(client: MlflowClient, run_ids: list[str]) -> np.ndarray | None:
    """What the first of the runs that has the file holds in it; None when none has it."""
    for run_id in run_ids:
        try:
            if all(file.path != FILE for file in client.list_artifacts(run_id)):
                continue
            with tempfile.TemporaryDirectory() as folder:
                return read_file(Path(client.download_artifacts(run_id, FILE, folder)))
        except Exception as error:  # each artifact store, and pyarrow, has errors of its own
            raise TrackingError(
                f"the row hashes of a dataset cannot be read ({type(error).__name__}: {error})",
                where=f"run {run_id}, artifact {FILE}",
                rule="the file as the fine-tune wrote it: without it datasets that share rows may count as unrelated",
                fix="make the artifacts reachable and try again; where the file is lost, delete it from the run",
            ) from error
    return None


def _cached(path: Path) -> np.ndarray | None:
    try:
        return read_file(path)
    except Exception:  # missing, or damaged: it is read from the store, and written, once more
        return None
