"""Which stores are good for what."""

from __future__ import annotations

import pytest

from predictor.errors import ConfigError
from predictor.tracking.store import refuse_local_store


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "sqlite+pysqlite:////a/b.db", "file:///runs", "./mlruns", ""])
def test_workers_on_other_machines_cannot_use_a_file(uri: str):
    with pytest.raises(ConfigError, match="cannot use a store that is a file") as caught:
        refuse_local_store(uri)
    error = caught.value
    assert uri in (error.where or "")
    assert "postgresql://" in (error.rule or "")
    assert (error.fix or "").startswith("mlflow run . -e server ")


@pytest.mark.parametrize("uri", ["http://h:5000", "https://u:p@h", "postgresql://u:p@h/d", "mysql+pymysql://h/d"])
def test_servers_are_reached_from_everywhere(uri: str):
    refuse_local_store(uri)
