"""A store at the documented `postgresql://…`, with what the documented installation brings along."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import sqlalchemy
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from predictor.registry.versions import find, promote, versions
from predictor.schema import RunRecord, keys
from predictor.tracking import connect, experiment_id, read_record, read_records, tracked_run
from predictor.tracking.patience import PatientClient

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_driver_of_the_documented_uri_is_a_dependency():
    driver = sqlalchemy.make_url("postgresql://host/database").get_dialect().import_dbapi().__name__
    pins = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert driver in {pin.split("==")[0] for pin in pins}


def test_mlflow_and_this_package_use_the_documented_uri(postgres_uri: str):
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    assert postgres_uri.startswith("postgresql://")
    store = SqlAlchemyStore(postgres_uri, "mlruns")
    assert [experiment.name for experiment in store.search_experiments()] == ["Default"]
    store.engine.dispose()
    with tracked_run(keys.KIND_FINETUNE, tracking_uri=postgres_uri, params={"hp/lora_r": "8"}) as run:
        run.curve(1, {"train/loss": 2.0})
        run.finish_record(RunRecord(complete=True, scores={"exact_match": 0.5}, probe={"odd": float("nan")}))
    read = read_record(run.run_id, tracking_uri=postgres_uri)
    assert (read.status, read.scores, read.hp) == ("FINISHED", {"exact_match": 0.5}, {"lora_r": 8})
    assert [record.run_id for record in read_records(tracking_uri=postgres_uri)] == [run.run_id]


def test_connections_that_the_server_cuts_are_made_again(postgres_uri: str):
    client = PatientClient(MlflowClient(postgres_uri), patience_s=20)
    run_id = client.create_run("0").info.run_id
    other = sqlalchemy.create_engine(postgres_uri, poolclass=sqlalchemy.NullPool)
    with other.connect() as connection:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        assert connection.execute(sqlalchemy.text(f"{cut} AND datname = current_database()")).all()
    client.set_tag(run_id, "a", "b")
    assert client.get_run(run_id).data.tags["a"] == "b"


def test_who_makes_an_experiment_second_takes_that_of_the_first_at_once(postgres_uri: str):
    client = PatientClient(MlflowClient(postgres_uri))
    first = client.create_experiment("e")
    with pytest.raises(MlflowException, match="already exists"):
        client.create_experiment("e")
    assert experiment_id(client, "e") == first


def test_versions_are_promoted_and_archived(postgres_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", connect(postgres_uri))
    client = MlflowClient()
    client.create_registered_model("m")
    for _ in range(2):
        client.create_model_version("m", str(tmp_path))
    for version in (1, 2, 1):
        promote(version, name="m", force=True)
        assert str(find("m", stage="Production").version) == str(version)
        assert {k: str(v) for k, v in client.get_registered_model("m").aliases.items()} == {"production": str(version)}
    assert [version.current_stage for version in versions("m")] == ["Production", "Archived"]
