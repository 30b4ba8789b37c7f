"""Curves and the machine's figures reach the store while a run goes on, and none is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from predictor.errors import TrainingError
from predictor.schema import keys
from predictor.tracking import tracked_run
from predictor.tracking.live import Live, SystemFigures


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20.0
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_points_are_in_the_store_while_the_run_goes_on_and_once(store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("predictor.tracking.run._LIVE_SECONDS", 0.02)
    client = MlflowClient(store)
    with tracked_run(keys.KIND_FINETUNE) as run:
        run.curve(1, {"train/loss": 2.0})
        run.remark("the loss has risen")
        _wait_for(lambda: client.get_run(run.run_id).data.metrics.get("train/loss") == 2.0)
        during = client.get_run(run.run_id)
        assert during.info.status == "RUNNING"
        _wait_for(lambda: client.get_run(run.run_id).data.tags.get(keys.TAG_REMARK) == "the loss has risen")
        for step in range(2, 40):
            run.curve(step, {"train/loss": 2.0 / step})
        run.finish(metrics={"score/a": 1.0})
    history = client.get_metric_history(run.run_id, "train/loss")
    assert [point.step for point in sorted(history, key=lambda p: p.step)] == list(range(1, 40))
    figures = client.get_run(run.run_id).data.metrics
    for name in ("process_memory_megabytes", "system_memory_usage_megabytes", "cpu_utilization_percentage"):
        assert keys.SYSTEM + name in figures


def test_a_step_does_not_wait_for_the_store():
    blocked = threading.Event()
    live = Live(lambda metrics, tags: blocked.wait(20.0) and None, 0.02, system=False)
    started = time.monotonic()
    for step in range(100):
        live.add([Metric("a", 1.0, 0, step)])
    assert time.monotonic() - started < 2.0
    blocked.set()
    live.stop()


def test_what_could_not_be_sent_is_given_back():
    def refuse(metrics: object, tags: object) -> None:
        raise ConnectionError

    live = Live(refuse, 0.02, system=False)
    live.add([Metric("a", 1.0, 0, 1)], {"tag": "text"})
    time.sleep(0.1)
    metrics, tags = live.stop()
    assert [metric.key for metric in metrics] == ["a"]
    assert tags == {"tag": "text"}


def test_a_run_that_fails_keeps_its_curve_and_its_log(store: str):
    with pytest.raises(TrainingError), tracked_run(keys.KIND_FINETUNE) as run:
        run.curve(1, {"train/loss": 2.0})
        (run.artifacts / "training.log").write_text("Step 1/9\n")
        (run.artifacts / "half.json").write_text("{")
        raise TrainingError("train/loss became nan")
    client = MlflowClient(store)
    assert client.get_run(run.run_id).info.status == "FAILED"
    assert client.get_run(run.run_id).data.metrics["train/loss"] == 2.0
    assert [a.path for a in client.list_artifacts(run.run_id)] == ["training.log"]


def test_the_machine_is_not_sampled_where_mlflow_is_told_not_to(store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "false")
    with tracked_run(keys.KIND_FINETUNE) as run:
        run.curve(1, {"train/loss": 2.0})
        run.finish()
    assert set(MlflowClient(store).get_run(run.run_id).data.metrics) == {"train/loss"}


def test_figures_have_mlflows_names():
    first, second = SystemFigures(), None
    second = first.sample()
    assert {metric.key for metric in second} >= {"system/cpu_utilization_percentage", "system/process_memory_megabytes"}
    assert {metric.step for metric in first.sample()} == {1}
