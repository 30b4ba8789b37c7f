from __future__ import annotations

import os
from pathlib import Path

import pytest
from mlflow import MlflowClient

from predictor.errors import DataError, SchemaError, TrackingError
from predictor.interrupts import Interrupted
from predictor.schema import DatasetUse, RunRecord, encode, keys
from predictor.tracking import connect, read_record, read_records, tracked_run


def _record(**changes: object) -> RunRecord:
    return RunRecord(complete=True, hp={"learning_rate": 1e-3}, scores={"exact_match": 0.5}, **changes)  # type: ignore[arg-type]


def test_a_finished_run_reads_back_as_it_was_written(store: str):
    record = _record(probe={"initial_loss": 2.0}, costs={"train_s": 1.0}, task="qa")
    with tracked_run(keys.KIND_FINETUNE, experiment="e", run_name="n") as run:
        run.describe(params=encode(record).params)
        run.curve(1, {"train/loss": 2.0})
        run.curve(2, {"train/loss": 1.0})
        (run.artifacts / "note.txt").write_text("kept")
        run.finish_record(record)
    read = read_record(run.run_id)
    assert (read.status, read.complete, read.probe, read.scores, read.hp) == (
        "FINISHED", True, record.probe, record.scores, record.hp,
    )  # fmt: skip
    client = MlflowClient()
    assert [(m.step, m.value) for m in client.get_metric_history(run.run_id, "train/loss")] == [(1, 2.0), (2, 1.0)]
    assert [a.path for a in client.list_artifacts(run.run_id)] == ["note.txt"]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (DataError("no rows", where="a.json", rule="one", fix="add"), "FAILED", "no rows | where: a.json | rule: one"),
        (ValueError("boom"), "FAILED", "ValueError: boom"),
        (SystemExit(3), "FAILED", "exit code 3"),
        (KeyboardInterrupt(), "KILLED", "interrupted by SIGINT"),
        (Interrupted("SIGTERM"), "KILLED", "interrupted by SIGTERM"),
    ],
)
def test_a_run_that_ends_badly_says_so(store: str, error: BaseException, status: str, reason: str):
    with pytest.raises(type(error)), tracked_run(keys.KIND_FINETUNE) as run:
        run.curve(1, {"train/loss": 1.0})
        (run.artifacts / "half.txt").write_text("half")
        raise error
    record = read_record(run.run_id)
    assert record.status == status
    assert reason in (record.failure or "")
    assert not record.complete
    assert MlflowClient().list_artifacts(run.run_id) == []
    kept = {name.partition("/")[0] for name in MlflowClient().get_run(run.run_id).data.metrics}
    assert kept <= {"train", "system"}, "curves tell what happened; there is no score and no cost"


def test_a_clean_exit_is_not_a_failure(store: str):
    with pytest.raises(SystemExit), tracked_run(keys.KIND_FINETUNE) as run:
        raise SystemExit(0)
    assert read_record(run.run_id).status == "FINISHED"


def test_a_run_inside_a_run_is_its_child(store: str):
    with tracked_run("quickstart", experiment="e") as parent, tracked_run(keys.KIND_PROBE) as child:
        pass
    found = MlflowClient().get_run(child.run_id)
    assert found.data.tags["mlflow.parentRunId"] == parent.run_id
    assert found.info.experiment_id == parent.experiment_id


def test_the_run_of_mlflow_run_is_continued_once(store: str, monkeypatch: pytest.MonkeyPatch):
    connect()
    given = MlflowClient().create_run("0", run_name="given").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    with tracked_run(keys.KIND_FINETUNE, run_name="other") as first:
        pass
    with tracked_run(keys.KIND_FINETUNE) as second:
        pass
    assert first.run_id == given != second.run_id
    assert MlflowClient().get_run(given).info.run_name == "given"
    assert "MLFLOW_RUN_ID" not in os.environ


def test_a_run_that_the_store_does_not_know(store: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(TrackingError, match=r"not in this tracking store[\s\S]*absolute path"), tracked_run("finetune"):
        pass


def test_a_fine_tune_costs_three_writes(store: str, monkeypatch: pytest.MonkeyPatch):
    writes: list[str] = []
    for name in ("log_batch", "log_inputs", "log_metric", "log_param", "set_tag"):
        original = getattr(MlflowClient, name)

        def counted(self: MlflowClient, *args: object, _name: str = name, _original=original, **kwargs: object):
            writes.append(_name)
            return _original(self, *args, **kwargs)

        monkeypatch.setattr(MlflowClient, name, counted)
    opening = encode(_record())
    with tracked_run(keys.KIND_FINETUNE) as run:
        run.describe(params=opening.params, tags=opening.tags)
        run.inputs([DatasetUse("n", "d", "n.json", rows=3, refused=0, used=3, context="training")])
        for step in range(400):
            run.curve(step, {"train/loss": 1.0, "train/grad_norm": 1.0})
        run.finish_record(_record())
    assert len(writes) <= 3
    assert len(MlflowClient().get_metric_history(run.run_id, "train/loss")) == 400


def test_more_points_than_a_batch_holds_all_arrive(store: str):
    with tracked_run(keys.KIND_FINETUNE) as run:
        for step in range(1500):
            run.curve(step, {"train/loss": float(step)})
        run.finish_record(_record())
    assert len(MlflowClient().get_metric_history(run.run_id, "train/loss")) == 1500
    assert read_record(run.run_id).complete


def test_only_runs_of_ours_are_read_and_by_experiment(store: str):
    connect()
    MlflowClient().create_run("0")
    for experiment in ("a", "b"):
        with tracked_run(keys.KIND_FINETUNE, experiment=experiment) as run:
            run.finish_record(_record(dataset=experiment))
    assert [r.dataset for r in read_records()] == ["a", "b"]
    assert [r.dataset for r in read_records(["b"])] == ["b"]
    assert not read_records(kind=keys.KIND_PROBE)
    with pytest.raises(TrackingError, match=r"experiment 'c' does not exist[\s\S]*Default, a, b"):
        read_records(["c"])


def test_runs_can_be_read_by_their_parent(store: str):
    with tracked_run("quickstart") as parent, tracked_run(keys.KIND_FINETUNE) as child:
        child.finish_record(_record(dataset="inside"))
    with tracked_run(keys.KIND_FINETUNE) as other:
        other.finish_record(_record(dataset="outside"))
    assert [r.dataset for r in read_records(parent=parent.run_id)] == ["inside"]


def test_a_store_of_another_schema_version_is_refused(store: str):
    with tracked_run(keys.KIND_FINETUNE) as run:
        pass
    MlflowClient().set_tag(run.run_id, keys.TAG_SCHEMA, "7")
    with pytest.raises(SchemaError, match=rf"schema version 7[\s\S]*{run.run_id}"):
        read_records()


@pytest.mark.parametrize("uri", ["./mlruns", "file:///tmp/mlruns"])
def test_a_file_store_is_refused_with_the_way_out(uri: str):
    with pytest.raises(TrackingError, match=r"file store[\s\S]*sqlite:///mlflow.db"):
        connect(uri)


def test_kind_and_reason_are_there_when_a_run_fails_at_once(store: str):
    with pytest.raises(DataError), tracked_run(keys.KIND_PROBE) as run:
        raise DataError("gone")
    tags = MlflowClient().get_run(run.run_id).data.tags
    assert (tags[keys.TAG_KIND], tags[keys.TAG_FAILURE]) == (keys.KIND_PROBE, "gone")


def test_a_server_that_does_not_answer():
    with pytest.raises(TrackingError, match=r"does not answer[\s\S]*where: http://127.0.0.1:9"):
        connect("http://127.0.0.1:9")


def test_a_database_that_is_none(tmp_path: Path):
    (tmp_path / "x.db").write_text("this is not a database, but a text of some length")
    with pytest.raises(TrackingError, match=r"does not answer[\s\S]*file is not a database"):
        connect(f"sqlite:///{tmp_path}/x.db")
