from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from predictor import environment

environment.prepare()
# A test that reaches for a hub should fail at once, here as on a machine without a network.
os.environ["HF_HUB_OFFLINE"] = "1"
# Before torch is imported, here and in the processes that tests start: two processes of two threads each on two cores
# wait for one another most of the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")


_LONG = (
    "test_sweep", "test_memory", "test_mlflow_run", "test_story", "test_sources", "test_smollm2", "test_readme",
    "test_again", "test_answers", "test_classification", "test_secrets",
)  # fmt: skip
"""Files that take longest: two processes that take file after file end together when these come first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; within a file the order stays."""
    items.sort(key=lambda item: _LONG.index(item.path.stem) if item.path.stem in _LONG else len(_LONG))


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    environment.quiet_libraries()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from benchmarks.tiny import write_base

    return write_base(tmp_path_factory.mktemp("tiny-base"))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite store: making one takes MLflow seconds, copying it none."""
    from predictor.tracking import connect

    folder = tmp_path_factory.mktemp("store")
    connect(f"sqlite:///{folder}/mlflow.db")
    return folder / "mlflow.db"


@pytest.fixture
def store(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URI of an empty tracking store of this test alone, in use; the working folder is the test's own."""
    return open_store(empty_store, tmp_path, monkeypatch)


def open_store(empty: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A copy of an empty store in the folder, which becomes the working folder."""
    import mlflow

    shutil.copy(empty, folder / "mlflow.db")
    uri = f"sqlite:///{folder}/mlflow.db"
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.set_tracking_uri(uri)  # an earlier test of this process may have set its own
    return uri


def open_folder() -> Path:
    """A new folder that every user may pass into, as PostgreSQL's has to be: root's is started as another user."""
    folder = Path(tempfile.mkdtemp(prefix="predictor-server-"))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def real_data() -> Path:
    """The folder of real datasets, or a skip."""
    folder = os.environ.get("PREDICTOR_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("PREDICTOR_REAL_DATA names no folder of real datasets")
    return Path(folder)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Tiny models gain nothing from a second thread, and lose much where another process wants the core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
