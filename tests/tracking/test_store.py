"""Which stores are good for what."""

from __future__ import annotations

import pytest

from predictor.tracking.store import is_local_store


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite+pysqlite:////a/b.db", "file:///runs", "./mlruns", ""])
def test_a_file_is_on_one_machine(uri: str):
    assert is_local_store(uri)


@pytest.mark.parametrize("uri", ["http://h:5000", "https://u:p@h", "postgresql://u:p@h/d", "mysql+pymysql://h/d"])
def test_servers_are_reached_from_everywhere(uri: str):
    assert not is_local_store(uri)
