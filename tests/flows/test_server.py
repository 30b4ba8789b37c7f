"""Sweeps against PostgreSQL behind a server: the short form of `benchmarks/server_sweep.py`."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import server_sweep
from predictor.errors import ConfigError
from predictor.server import Wanted, serving
from predictor.server.both import Serving
from predictor.server.postgres import account, find_binaries
from predictor.tracking import read_records
from tests.conftest import open_folder
from tests.tracking.populated import plain


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    made = open_folder()
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Serving]:
    try:
        account()
        find_binaries()
    except ConfigError as error:
        pytest.skip(str(error))
    with serving(Wanted(folder / "server", 0, workers=1, durable=False)) as running:
        yield running


@pytest.mark.long
def test_two_sweeps_of_one_plan_while_a_worker_is_killed_and_the_database_restarts(served: Serving, folder: Path):
    """Each in a folder and with a cache of its own, as on two machines."""
    uri = served.addresses.uri
    datasets = [f"lab:{family}:size=48:seed=1" for family in ("wrong_answers:dial=0", "swapped_answers:dial=1")]
    for name in "ab":
        server_sweep.write_plan(folder / name, datasets, (1e-2, 3e-3))
    flags = {"plan": "plan.yaml", "threads": 1}
    a = server_sweep.start("sweep", folder / "a", uri, workers=2, **flags)
    b = server_sweep.start("sweep", folder / "b", uri, workers=1, **flags)
    try:
        assert server_sweep.wait_for(lambda: server_sweep.held(uri) > 0, a, b)
        assert server_sweep.kill_a_worker(a) + server_sweep.kill_a_worker(b) > 0
        server_sweep.restart(served.cluster, 1.0)
        server_sweep.finish(a, folder / "a")
        server_sweep.finish(b, folder / "b")
    finally:
        server_sweep.end(a, b)
    assert Counter(server_sweep.complete(uri).values()) == {1: 4}
    found = server_sweep.statuses(uri)
    assert not any(each["RUNNING"] for each in found.values())
    assert found["sweep"] == {"FINISHED": 2}
    straight = served.addresses.database.read_text().strip()
    assert plain(read_records(tracking_uri=straight)) == plain(read_records(tracking_uri=uri))
