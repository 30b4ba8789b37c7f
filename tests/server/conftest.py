"""Folders and clusters; a skip where PostgreSQL is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from predictor.errors import ConfigError
from predictor.server.postgres import account, find_binaries
from tests.conftest import open_folder


@pytest.fixture(scope="session")
def installed() -> Path:
    """The folder of PostgreSQL's programs."""
    try:
        account()
        return find_binaries()
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture
def folder() -> Iterator[Path]:
    made = open_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)
