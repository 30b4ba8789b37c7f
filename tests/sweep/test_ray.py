"""Workers on a Ray cluster: machines that come and go, and what each of them must have."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from predictor.errors import ConfigError, PredictorError
from predictor.sweep import Outcome
from predictor.sweep.executors.ray import RayExecutor
from predictor.sweep.placement import Freight, Placement, Resources
from tests.sweep.works import job, make_work

ray = pytest.importorskip("ray", reason="the extra 'ray' is not installed")

HELLO = {"greeting": "hello"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[object]:
    """Two machines of one worker each, on this one."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture
def machines(cluster: object) -> Iterator[list[object]]:
    added = [cluster.add_node(num_cpus=1) for _ in range(2)]
    yield added
    for node in added:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)


@pytest.fixture
def made(cluster: object) -> Iterator[Callable[..., RayExecutor]]:
    executors: list[RayExecutor] = []

    def make(workers: int = 2, **more: object) -> RayExecutor:
        placement = Placement(address=cluster.address, **more)
        executors.append(RayExecutor(make_work, HELLO, workers=workers, threads=1, placement=placement))
        return executors[-1]

    yield make
    for executor in executors:
        executor.close()


def _until(executor: RayExecutor, told: Callable[[], bool], seconds: float = 60) -> list[Outcome]:
    outcomes: list[Outcome] = []
    deadline = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < deadline, outcomes
        outcomes += executor.wait(0.2)
    return outcomes


@pytest.mark.long
def test_the_job_of_a_lost_machine_is_killed_and_machines_that_come_are_used(
    cluster: object, machines: list[object], made: Callable[..., RayExecutor]
):
    executor = made()
    _until(executor, lambda: executor.free == 2)
    executor.submit(job("slow"))
    executor.submit(job("slow"))
    workers = [p for p in psutil.process_iter(["cmdline"]) if "forkserver" in " ".join(p.info["cmdline"] or [])]
    cluster.remove_node(machines[0], allow_graceful=False)
    outcomes: list[Outcome] = []
    deadline = time.monotonic() + 60
    while not outcomes and time.monotonic() < deadline:
        outcomes += executor.wait(0.5)
    assert [outcome.status for outcome in outcomes] == ["killed"]
    assert outcomes[0].message.startswith("its worker was lost")
    # Nothing of the lost machine goes on unseen.
    deadline = time.monotonic() + 20
    while sum(p.is_running() for p in workers) == len(workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert executor.free == 0
    machines.append(cluster.add_node(num_cpus=1))
    _until(executor, lambda: executor.free == 1)


def test_more_than_any_machine_has_is_refused_at_once(machines: list[object], made: Callable[..., RayExecutor]):
    with pytest.raises(PredictorError) as error:
        made(resources=Resources(cpus=64, gpus=0.5))
    assert "no machine of the cluster has 64 CPUs, 0.5 GPUs" in str(error.value)
    assert "3 machines, the largest with 1 CPUs" in str(error.value)


def test_a_machine_of_other_versions_is_told(
    machines: list[object], made: Callable[..., RayExecutor], monkeypatch: pytest.MonkeyPatch
):
    from predictor.sweep import slot

    monkeypatch.setattr(slot, "versions", lambda: {"torch": "1.0"})
    executor = made(workers=1)
    with pytest.raises(PredictorError, match=r"torch is 2\S+ here and 1.0 where the sweep runs"):
        _until(executor, lambda: executor.free > 0)


def test_a_store_that_is_a_file_elsewhere_is_refused(
    machines: list[object], made: Callable[..., RayExecutor], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("predictor.sweep.slot.socket.gethostname", lambda: "another-host")
    executor = made(workers=1, local_store=True)
    with pytest.raises(PredictorError, match="the tracking store is a file on another-host") as error:
        _until(executor, lambda: executor.free > 0)
    assert "mlflow run . -e server" in str(error.value)


def test_a_machine_that_lacks_a_file_is_told(machines: list[object], made: Callable[..., RayExecutor], tmp_path: Path):
    executor = made(workers=1, freight=Freight({}, (str(tmp_path / "absent.json"),)))
    with pytest.raises(PredictorError, match="this machine lacks a file of the plan") as error:
        _until(executor, lambda: executor.free > 0)
    assert error.value.where == str(tmp_path / "absent.json")


def test_a_cluster_out_of_reach_is_told():
    with pytest.raises(PredictorError, match="the Ray cluster cannot be used") as error:
        RayExecutor(make_work, HELLO, placement=Placement(address="127.0.0.1:1"))
    assert error.value.where == "-P address=127.0.0.1:1"


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="Ray is not installed") as error:
        RayExecutor(make_work, HELLO)
    assert ".[ray]" in str(error.value)
