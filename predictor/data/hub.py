"""Datasets of the Hugging Face hub, through `datasets.load_dataset`, never with remote code."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from predictor.data.sources import SPLIT_NAMES, TRAIN, DataFile
from predictor.errors import DataError

PATIENCE = 8.0
"""Seconds in which the hub must answer; afterwards it counts as out of reach."""


def hub_files(dataset_id: str) -> list[DataFile]:
    """The Arrow files of a hub dataset by split, downloaded into the cache of `datasets`.

    With `HF_HUB_OFFLINE=1` only copies that were downloaded before are used.

    Raises:
        DataError: the hub is out of reach, has no such dataset, or the dataset needs code of its own to be loaded.
    """
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    if not offline and not _answers(endpoint):
        raise DataError(
            f"'{dataset_id}' is no local file, and the hub cannot be reached at {endpoint}",
            where=dataset_id,
            rule="a local file or folder, or a hub id while the hub can be reached",
            fix="check the path, or the network; HF_HUB_OFFLINE=1 uses copies that were downloaded before",
        )
    import datasets

    try:
        splits = datasets.load_dataset(dataset_id)
    except Exception as error:  # the library raises a dozen unrelated kinds; each means that the source cannot be used
        raise DataError(
            f"the hub dataset '{dataset_id}' cannot be loaded: {' '.join(str(error).split())[:300]}",
            where=dataset_id,
            rule="a public dataset of data files; datasets that bring code are not run",
            fix="check the id, or download the data files and name them",
        ) from None
    return [
        DataFile(Path(cached["filename"]), f"{dataset_id}/{split}", SPLIT_NAMES.get(str(split), TRAIN))
        for split, part in splits.items()
        for cached in part.cache_files
    ]


def _answers(endpoint: str) -> bool:
    """Whether the hub answers within `PATIENCE`, asked in a thread because a name look-up knows no time limit."""
    import requests

    answered = threading.Event()

    def ask() -> None:
        try:
            requests.head(endpoint, timeout=PATIENCE, allow_redirects=False)
        except requests.RequestException:
            failed.set()
            return
        answered.set()
        failed.set()

    failed = threading.Event()
    threading.Thread(target=ask, daemon=True).start()
    failed.wait(PATIENCE)
    return answered.is_set()
