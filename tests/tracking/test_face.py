"""What the MLflow UI is told: kind and note of an experiment, the view of its fine-tunes, names and notes of runs."""

from __future__ import annotations

import dataclasses
import json

import pytest
from mlflow import MlflowClient

from predictor.schema import RunRecord, keys
from predictor.schema.archive import write_archive
from predictor.schema.targets import TARGETS, Target
from predictor.tracking import connect, face, read_record, tracked_run
from predictor.tracking.exchange import import_records
from predictor.tracking.view import VIEW_NAME, VIEW_TAG, pack, unpack, view_state

RECORD = RunRecord(
    complete=True,
    task="qa",
    dataset="lab:size:dial=48:seed=1",
    base_model="lab",
    seed=3,
    hp={"learning_rate": 5e-3, "lora_r": 8, "batch_size": 16, "epochs": 3.0},
    probe={"dataset_size": 48.0, "early_exact_match": 0.708},
    scores={"f1": 0.75, "exact_match": 0.732, "n": 250.0, "exact_match_se": 0.028},
    costs={"total_s": 1234.4, "train_s": 3.0, "train_steps": 9.0},
)


@pytest.fixture(autouse=True)
def _a_new_process():
    face._done.clear()


def _fine_tune(record: RunRecord = RECORD, experiment: str = "e") -> str:
    with tracked_run(keys.KIND_FINETUNE, experiment=experiment) as run:
        run.finish_record(record)
    return run.run_id


def _tags(experiment: str = "e") -> dict[str, str]:
    return dict(MlflowClient().get_experiment_by_name(experiment).tags)


def test_the_first_run_makes_the_experiment_model_training_and_explains_its_columns(store: str):
    with tracked_run(keys.KIND_PREPARE, experiment="e") as run:
        pass
    tags = _tags()
    assert tags[face.KIND_TAG] == "custom_model_development"
    for prefix in (keys.HP, keys.PROBE, keys.SCORE, keys.COST, keys.PREDICTED):
        assert f"`{prefix}" in tags[face.NOTE_TAG]
    assert f"#/experiments/{run.experiment_id}/runs" in tags[face.NOTE_TAG]
    assert VIEW_TAG not in tags, "there is no fine-tune that it could show"


@pytest.mark.parametrize(("kind", "kept"), [("genai_development", True), ("genai_development_inferred", False)])
def test_what_a_person_has_chosen_or_written_stays(store: str, kind: str, kept: bool):
    connect()
    client = MlflowClient()
    experiment = client.create_experiment("e", tags={face.KIND_TAG: kind, face.NOTE_TAG: "mine"})
    face.dress(client, experiment)
    assert (_tags()[face.KIND_TAG] == kind) == kept
    assert _tags()[face.NOTE_TAG] == "mine"


def test_the_view_shows_fine_tunes_by_the_headline_of_their_task(store: str):
    _fine_tune()
    value = _tags()[VIEW_TAG]
    assert json.loads(value)["name"] == VIEW_NAME
    assert len(value) < 5000, "some stores take no longer tag"
    state = unpack(value)
    assert state["searchFilter"] == "tags.`predictor.kind` = 'finetune'"
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`score/exact_match`", False)
    assert state["selectedColumns"] == [
        "params.`hp/learning_rate`", "params.`hp/lora_r`", "params.`hp/batch_size`", "params.`hp/epochs`",
        "metrics.`probe/early_exact_match`", "metrics.`score/exact_match`", "metrics.`score/f1`",
        "metrics.`cost/total_s`", "metrics.`score/exact_match_se`",
    ]  # fmt: skip
    assert set(state["columnWidths"]) == set(state["columnOrder"]) > set(state["selectedColumns"])
    charts = state["compareRunCharts"]
    assert [chart["type"] for chart in charts] == ["SCATTER", "SCATTER", "PARALLEL", "BAR", "BAR"]
    assert charts[1]["xaxis"]["key"] == "predicted/exact_match"
    assert {chart["metricSectionId"] for chart in charts} == {
        section["uuid"] for section in state["compareRunSections"]
    }
    assert len({chart["uuid"] for chart in charts}) == len(charts)


def test_the_search_of_the_view_finds_the_fine_tunes_and_nothing_else(store: str):
    made = {_fine_tune(), _fine_tune(dataclasses.replace(RECORD, seed=4))}
    with tracked_run(keys.KIND_PROBE, experiment="e"):
        pass
    state = unpack(_tags()[VIEW_TAG])
    home = MlflowClient().get_experiment_by_name("e").experiment_id
    found = MlflowClient().search_runs([home], state["searchFilter"], order_by=[f"{state['orderByKey']} DESC"])
    assert {run.info.run_id for run in found} == made


def test_a_score_of_which_less_is_better_is_sorted_upwards(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(TARGETS._entries, "loss_after", Target("loss_after", "", "nats", higher_is_better=False))
    state = view_state(dataclasses.replace(RECORD, scores={"loss_after": 1.0}, probe={}))
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`score/loss_after`", True)


def test_an_experiment_is_dressed_once_and_a_view_that_is_there_is_left(store: str, monkeypatch: pytest.MonkeyPatch):
    writes: list[str] = []
    reads: list[str] = []
    written, read = MlflowClient.set_experiment_tag, MlflowClient.get_experiment
    monkeypatch.setattr(MlflowClient, "set_experiment_tag", lambda *a: (writes.append(a[2]), written(*a))[1])
    monkeypatch.setattr(MlflowClient, "get_experiment", lambda *a: (reads.append(a[1]), read(*a))[1])
    for _ in range(3):
        _fine_tune()
    assert sorted(writes) == sorted([face.KIND_TAG, face.NOTE_TAG, VIEW_TAG])
    assert len(reads) == 2
    before = _tags()
    face._done.clear()  # another process
    _fine_tune()
    assert len(writes) == 3
    assert _tags() == before


def test_a_view_that_is_damaged_or_of_another_version_is_renewed(store: str):
    _fine_tune()
    home = MlflowClient().get_experiment_by_name("e").experiment_id
    good = unpack(_tags()[VIEW_TAG])
    for value in ("{", '{"state": 1}', '{"state": "deflate;AAAA"}', pack({"searchFilter": "old"}, 0)):
        MlflowClient().set_experiment_tag(home, VIEW_TAG, value)
        face._done.clear()
        _fine_tune()
        assert unpack(_tags()[VIEW_TAG]) == good


def test_a_store_that_refuses_it_costs_no_run(store: str, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refused)
    monkeypatch.setattr(face, "note", refused)
    run_id = _fine_tune()
    assert (read_record(run_id).status, read_record(run_id).complete) == ("FINISHED", True)
    monkeypatch.undo()
    assert face.KIND_TAG not in _tags()


def test_a_fine_tune_carries_a_note_of_three_lines(store: str):
    note = MlflowClient().get_run(_fine_tune()).data.tags[face.NOTE_TAG]
    assert note.split("  \n") == [
        "**What:** `lab` on `lab:size:dial=48:seed=1` (48 rows), lora, r 8, learning rate 0.005, batch 16, epochs 3.0, "
        "seed 3",
        "**Result:** exact_match 0.732 ± 0.028, f1 0.75 on 250 questions; 0.708 after the first steps",
        "**Cost:** 1 234 s in all, 3 s of training, 9 optimizer steps",
    ]


def test_a_fine_tune_inside_a_run_stands_at_the_top_and_is_linked(store: str):
    with tracked_run(keys.KIND_QUICKSTART, experiment="e") as parent, tracked_run(keys.KIND_FINETUNE) as child:
        child.finish_record(RECORD)
    tags = MlflowClient().get_run(child.run_id).data.tags
    assert tags[keys.TAG_PARENT] == parent.run_id
    assert "mlflow.parentRunId" not in tags


def test_a_prediction_stands_beside_the_score(store: str):
    with tracked_run(keys.KIND_QUICKSTART, experiment="e") as parent:
        run_id = _fine_tune()
        parent.foretell(run_id, "exact_match", 0.5)
    assert MlflowClient().get_run(run_id).data.metrics["predicted/exact_match"] == 0.5
    assert read_record(run_id).scores == RECORD.scores


@pytest.mark.parametrize(
    ("name", "expected"),
    [("spiffy-elk-224", "readable"), ("my-own-1", "my-own-1"), ("spiffy-elk", "spiffy-elk")],
)
def test_a_name_that_mlflow_drew_gives_way_to_a_readable_one(
    store: str, monkeypatch: pytest.MonkeyPatch, name: str, expected: str
):
    connect()
    given = MlflowClient().create_run("0", run_name=name).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    with tracked_run(keys.KIND_FINETUNE, run_name="readable"):
        assert MlflowClient().get_run(given).info.run_name == expected


def test_names_that_mlflow_draws_are_known():
    from mlflow.utils.name_utils import _generate_random_name

    names = [_generate_random_name() for _ in range(200)]
    assert sum(map(face.drawn_by_mlflow, names)) >= 190, "a few are cut"


def test_imported_runs_look_like_those_that_were_made(store: str, tmp_path):
    record = dataclasses.replace(RECORD, run_id="a" * 32, status="FINISHED", start_time=1, base_model_digest="d")
    write_archive(tmp_path / "runs.parquet", [record], [{}], {})
    import_records(tmp_path / "runs.parquet", experiment="e")
    assert {face.KIND_TAG, face.NOTE_TAG, VIEW_TAG} <= set(_tags())
    [run] = MlflowClient().search_runs([MlflowClient().get_experiment_by_name("e").experiment_id])
    assert run.data.tags[face.NOTE_TAG] == face.note(RECORD)


@pytest.mark.parametrize(
    ("method", "hp", "name"),
    [
        ("lora", {"lora_r": 8, "learning_rate": 5e-3}, "lab:size:dial=48:seed=1 r8 lr0.005 s3"),
        ("full", {"learning_rate": 2e-5}, "lab:size:dial=48:seed=1 full lr2e-05 s3"),
    ],
)
def test_imported_runs_of_any_method_have_a_readable_name(store: str, tmp_path, method: str, hp: dict, name: str):
    record = dataclasses.replace(
        RECORD, run_id="a" * 32, status="FINISHED", start_time=1, base_model_digest="d", method=method, hp=hp
    )
    write_archive(tmp_path / "runs.parquet", [record], [{}], {})
    assert import_records(tmp_path / "runs.parquet", experiment="e") == (1, 0)
    [run] = MlflowClient().search_runs([MlflowClient().get_experiment_by_name("e").experiment_id])
    assert run.info.run_name == name


def test_the_address_of_the_view(store: str):
    run_id = _fine_tune()
    home = MlflowClient().get_experiment_by_name("e").experiment_id
    address, served = face.where_to_look(run_id)
    page = f"#/experiments/{home}/runs?workflowType=machine_learning&viewStateShareKey=finetunes"
    assert address == f"compare the fine-tunes: http://127.0.0.1:5000/{page}"
    assert f"--backend-store-uri {store}" in served
    assert face.where_to_look("0" * 32) == []
    assert face.where_to_look(run_id, "http://127.0.0.1:1") == []
