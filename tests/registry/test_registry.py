"""Runs in a real SQLite store → predictor → registry → stage → predictions, with pickles switched off."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest

import predictor
from benchmarks.synthetic_runs import record, records
from predictor import registry, tracking
from predictor.errors import ConfigError, RegistryError, TableError
from predictor.flows.meta import MetaConfig, MetaResult, train_predictor
from predictor.flows.promote import PromoteConfig, promote_version
from predictor.schema import RunRecord, encode
from predictor.table import feature_row

RUNS = [dataclasses.replace(each, dev_limit=8) for each in records(14, groups=14, noise_features=2)]
ROWS = [feature_row(each) for each in records(5, seed=9, noise_features=2)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a tracking store that holds 14 fine-tunes and a failed one."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        for each in [*RUNS, record(complete=False)]:
            encoded = encode(each)
            with tracking.tracked_run("finetune", params=encoded.params, tags=encoded.tags) as run:
                if each.complete:
                    run.finish_record(each)
        yield folder


@pytest.fixture(scope="module")
def trained(store: Path) -> MetaResult:
    return train_predictor(MetaConfig(n_trials=3, split="group"))


@pytest.fixture(scope="module")
def promoted(trained: MetaResult) -> int:
    promote_version(PromoteConfig(version=trained.version, force=True))
    return trained.version


def test_the_run_holds_figures_metrics_and_children(trained: MetaResult) -> None:
    client = mlflow.MlflowClient()
    run = client.get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["predictor.kind"] == "meta"
    assert run.data.metrics["validation/group/rmse"] == pytest.approx(trained.trained.grouped.metrics["rmse"])
    assert "baseline/group/mean_rmse" in run.data.metrics
    assert run.data.metrics["table/skipped"] == 1
    names = {artifact.path for artifact in client.list_artifacts(trained.run_id)}
    assert {"shap_beeswarm.png", "predicted_against_actual.png", "table.csv", "summary.txt", "predictor"} <= names
    children = client.search_runs(["0"], f"tags.mlflow.parentRunId = '{trained.run_id}'")
    assert {"validation group", "group baseline ridge"} <= {child.info.run_name for child in children}


def test_a_version_tells_where_it_comes_from(trained: MetaResult) -> None:
    tags = registry.find(version=trained.version).tags
    assert tags["predictor.table_digest"] == trained.table.digest
    assert tags["predictor.target"] == "score/exact_match"
    assert tags["predictor.training_runs"] == "14"
    assert float(tags["validation/group/rmse"]) == trained.trained.grouped.metrics["rmse"]
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/finetune-predictor/{trained.version}"))
    runs = json.loads((folder / "artifacts" / "bundle" / "training_runs.json").read_text())
    assert len(runs) == 14
    assert (folder / "input_example.json").is_file()
    assert not [path for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle")]


def test_a_version_that_beats_no_baseline_is_refused_and_force_is_recorded(trained: MetaResult) -> None:
    client = mlflow.MlflowClient()
    rmse = registry.find(version=trained.version).tags["baseline/group/rmse"]
    client.set_model_version_tag("finetune-predictor", str(trained.version), "baseline/group/rmse", "1e-9")
    with pytest.raises(RegistryError, match="does not beat") as caught:
        promote_version(PromoteConfig(version=trained.version, stage="Staging"))
    assert "-P force=true" in str(caught.value)
    assert registry.find(version=trained.version).current_stage == "None"
    assert promote_version(PromoteConfig(version=trained.version, stage="Staging", force=True)).objections
    tags = registry.find(version=trained.version).tags
    assert tags["promotion.forced"] == "true"
    assert "does not beat" in tags["promotion.gate"]
    client.set_model_version_tag("finetune-predictor", str(trained.version), "baseline/group/rmse", rmse)


def test_intervals_that_do_not_hold_are_refused(trained: MetaResult) -> None:
    found = registry.find(version=trained.version)
    found.tags.update({"validation/group/coverage": "0.5", "predictor.groups": "100", "baseline/group/rmse": "1e9"})
    assert registry.gate(found) == ["its 90 % intervals hold 50 % of the rows of new groups (allowed: ±9 %)"]
    del found.tags["validation/group/coverage"]
    assert registry.gate(found) == ["it was registered without validation/group/coverage"]


def test_a_version_that_does_not_know_new_families_is_refused(trained: MetaResult) -> None:
    found = registry.find(version=trained.version)
    found.tags.update({"validation/group/rmse": "0.1", "baseline/group/rmse": "0.2", "predictor.groups": "14"})
    found.tags["validation/group/coverage"] = "0.9"
    assert registry.gate(found) == []
    found.tags["validation/family/rmse"] = "0.3"
    assert registry.gate(found) == ["it was registered without baseline/family/rmse"]
    found.tags.update({"baseline/family/rmse": "0.25", "baseline/family/name": "ridge"})
    assert registry.gate(found) == ["its RMSE on families not seen 0.3 does not beat ridge with 0.25"]
    found.tags.update({"baseline/family/rmse": "0.4", "predictor.headline": "family", "predictor.families": "400"})
    found.tags["validation/family/coverage"] = "0.8"
    assert registry.gate(found) == ["its 90 % intervals hold 80 % of the rows of new families (allowed: ±6 %)"]
    found.tags["baseline/group/rmse"] = "0.05"
    assert len(registry.gate(found)) == 2


def test_a_target_is_named_or_described_before_anything_is_trained(store: Path) -> None:
    with pytest.raises(ConfigError, match="no task declares the target 'score/exact_mach'"):
        train_predictor(MetaConfig(target="score/exact_mach"))
    with pytest.raises(ConfigError, match="direction='less' is unknown"):
        train_predictor(MetaConfig(direction="less"))
    rows = [{"g": f"g{i % 5}", "x": float(i % 7), "seconds": 10.0 + i % 7 + 0.1 * i} for i in range(25)]
    pd.DataFrame(rows).to_csv(store / "times.csv", index=False)
    told = MetaConfig(target="seconds", table="times.csv", group="g", unit="seconds", direction="lower")
    made = train_predictor(dataclasses.replace(told, n_trials=1, split="group", model_name=""))
    assert made.trained.bundle.target.unit == "seconds"
    assert made.summary[0].endswith("target seconds, lower is better")
    assert "error in seconds on rows not seen" in "\n".join(made.summary)


def test_stage_and_alias_move_together_and_the_old_version_is_archived(trained: MetaResult, promoted: int) -> None:
    second = registry.register(
        trained.trained.bundle, trained.run_id, trained.table.rows.head(2), tags=registry.find(version=promoted).tags
    )
    promote_version(PromoteConfig(version=second, stage="Production", force=True))
    assert registry.find(stage="Production").version == second
    assert registry.find(version=promoted).current_stage == "Archived"
    client = mlflow.MlflowClient()
    assert int(client.get_model_version_by_alias("finetune-predictor", "production").version) == second
    promote_version(PromoteConfig(version=second, stage="Archived"))
    assert client.get_model_version("finetune-predictor", str(second)).aliases == []
    promote_version(PromoteConfig(version=promoted, force=True))


def test_loading_what_does_not_exist_says_what_exists(promoted: int) -> None:
    with pytest.raises(RegistryError, match="no version of 'finetune-predictor' is in stage Staging") as caught:
        predictor.load(stage="Staging")
    assert "1 (Production)" in str(caught.value)
    with pytest.raises(RegistryError, match="version 99 of 'finetune-predictor' does not exist"):
        predictor.load(version=99)
    with pytest.raises(RegistryError, match="did you mean 'finetune-predictor'"):
        predictor.load(name="finetune-predicter")
    with pytest.raises(RegistryError, match="unknown stage 'Produktion'") as caught:
        predictor.load(stage="Produktion")
    assert "did you mean 'Production'" in str(caught.value)
    with pytest.raises(ConfigError, match="stage='Prod' is unknown"):
        promote_version(PromoteConfig(stage="Prod"))


def test_a_version_whose_files_are_gone(trained: MetaResult, promoted: int) -> None:
    client = mlflow.MlflowClient()
    ghost = client.create_model_version("finetune-predictor", "/nowhere/at/all", run_id=trained.run_id)
    with pytest.raises(RegistryError, match=f"loading version {ghost.version}"):
        predictor.load(version=int(ghost.version))
    client.delete_model_version("finetune-predictor", ghost.version)


def test_python_and_pyfunc_give_the_same_numbers_and_contributions_add_up(promoted: int) -> None:
    loaded = predictor.load(stage="Production")
    assert (loaded.version, loaded.stage) == (promoted, "Production")
    mine = loaded.predict(ROWS)
    served = mlflow.pyfunc.load_model("models:/finetune-predictor@production")
    frame = pd.DataFrame(ROWS).astype({"hp/lora_r": float})
    pd.testing.assert_frame_equal(served.predict(frame), mine, check_exact=True)
    total = loaded.contributions(ROWS).sum(axis=1)
    pd.testing.assert_series_equal(total, mine["prediction"], check_names=False, atol=1e-12)
    with pytest.raises(TableError, match="'lots' is not a number"):
        loaded.predict({"hp/lora_r": "lots"})


def test_candidates_are_ranked_and_a_bad_one_stands_last(promoted: int, tmp_path: Path) -> None:
    loaded = predictor.load()
    ranking = loaded.rank([*records(4, seed=9, noise_features=2), str(tmp_path / "none.json")], base_model="lab")
    assert ranking["rank"].tolist() == [1, 2, 3, 4, 5]
    assert ranking["prediction"][:4].is_monotonic_decreasing
    assert "raises it by" in ranking["reasons"][0] or "lowers it by" in ranking["reasons"][0]
    assert ranking["error"][4]
    assert pd.isna(ranking["prediction"][4])


def test_a_version_tells_how_the_runs_were_made_that_taught_it(promoted: int) -> None:
    tags = registry.find(version=promoted).tags
    assert (tags["predictor.task"], tags["predictor.method"], tags["predictor.dev_limit"]) == ("qa", "lora", "8")
    assert (tags["predictor.base_model"], tags["predictor.base_model_digest"]) == ("lab", "bd")
    assert (tags["predictor.headline"], tags["predictor.judged"]) == ("group", "14")
    assert predictor.load().bundle.taught.known("eval_fingerprint") == ["ev"]


@pytest.mark.parametrize(
    ("said", "unlike", "unusual"),
    [
        ({}, {}, ""),
        ({"learning_rate": 1e-3}, {}, ""),
        ({"base_model": "big"}, {"base_model": "big", "base_model_digest": "other"}, "base_model"),
        ({"eval_dataset": "e.json"}, {"eval_dataset": "e.json", "eval_fingerprint": "other"}, "eval_dataset"),
        ({"dev_limit": 64}, {"dev_limit": 64}, "dev_limit"),
        ({}, {"base_model_digest": "other"}, None),
        ({"learning_rate": 1e-3}, {"eval_fingerprint": "other"}, None),
    ],
)
def test_a_candidate_is_probed_as_the_runs_were_that_taught(
    promoted: int, said: dict[str, object], unlike: dict[str, object], unusual: str | None
) -> None:
    """What is unlike them is flagged when somebody said so, and refused otherwise."""
    asked = []

    def probe(source: str, **settings: object) -> RunRecord:
        asked.append(settings)
        return dataclasses.replace(RUNS[0], kind="probe", **unlike)  # type: ignore[arg-type]

    loaded = dataclasses.replace(predictor.load(), prober=probe)
    row = loaded.rank(["a.json"], **said).iloc[0]
    taught = {"task": "qa", "base_model": "lab", "dev_limit": 8}
    assert {name: asked[0][name] for name in {**taught, **said}} == {**taught, **said}
    if unusual is None:
        assert "is not that of the runs that taught the predictor" in row["error"]
        assert pd.isna(row["prediction"])
    else:
        assert (row["error"], row["unusual_feature"], row["unusual"]) == ("", unusual, bool(unusual))


def test_a_record_of_another_base_model_is_flagged(promoted: int) -> None:
    other = dataclasses.replace(RUNS[0], base_model_digest="other", dataset="other.json")
    found = predictor.load().rank([RUNS[1], other]).set_index("candidate")
    assert found.loc["other.json", "unusual_feature"] == "base_model"
    assert not found.loc[RUNS[1].dataset, "unusual"]


def test_the_rest_service_gives_the_same_numbers(store: Path, promoted: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/finetune-predictor/Production"]
    command = [*serve, "--env-manager", "local", "-p", str(port)]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with (store / "serve.log").open("w") as log:
        server = subprocess.Popen(
            command, cwd=store, env={**os.environ, "PATH": path}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/ping", server, store / "serve.log")
        rows = [{**ROWS[0], "hp/target_modules": None}, {**ROWS[1], "probe/initial_loss": 3}, {"unknown": 1}, *ROWS[2:]]
        body = json.dumps({"dataframe_records": rows}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            answer = json.load(reply)["predictions"]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=20)
    assert answer == predictor.load().predict(rows).to_dict("records")


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the service did not come up:\n{log.read_text()[-3000:]}")
