from __future__ import annotations

import os
from pathlib import Path

import pytest

from predictor import environment

environment.prepare()
# A test that reaches for a hub should fail at once, here as on a machine without a network.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    environment.quiet_libraries()


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import write_base

    return write_base(tmp_path_factory.mktemp("tiny-base"))


@pytest.fixture
def real_data() -> Path:
    """The folder of real datasets, or a skip."""
    folder = os.environ.get("PREDICTOR_REAL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("PREDICTOR_REAL_DATA names no folder of real datasets")
    return Path(folder)
