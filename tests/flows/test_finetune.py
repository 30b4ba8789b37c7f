"""The finetune and probe flows on real files, a real store and a tiny model."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from mlflow import MlflowClient

from predictor.config import TIERS
from predictor.errors import ConfigError, DataError, ModelError, PredictorError, TrainingError
from predictor.flows.finetune import finetune
from predictor.flows.probe import probe_dataset
from predictor.probe import FEATURES, lookup
from predictor.schema import RunRecord, keys
from predictor.tracking import read_record, read_records
from predictor.trial.config import FinetuneConfig, config_of, hyperparameters_of
from predictor.trial.trial import Trial
from tests.small import small_config

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path, store: str) -> FinetuneConfig:
    return small_config(tiny_base, tmp_path, epochs=3.0, probe_steps=3, tiers="static,forward,train")


def test_one_fine_tune_is_one_complete_run(config: FinetuneConfig):
    record = finetune(config, experiment="e")
    stored = read_records(["e"])
    assert len(stored) == 1
    assert dataclasses.replace(stored[0], start_time=0) == record
    assert stored[0].ineligible("score/exact_match") is None
    assert set(record.hp) == set(hyperparameters_of())
    p, n = record.scores["exact_match"], record.scores["n"]
    assert n == 20
    assert record.scores["exact_match_se"] == pytest.approx(math.sqrt(p * (1 - p) / n))
    assert 0 <= record.scores["f1"] <= 1
    assert record.costs["train_steps"] == 9
    for cost in ("read_s", "load_s", "probe_static_s", "probe_forward_s", "probe_train_s", "train_s", "evaluate_s"):
        assert 0 < record.costs[cost] <= record.costs["total_s"]
    for cost in ("train_tokens", "trainable_parameters", "peak_memory_mb"):
        assert record.costs[cost] > 0


def test_what_a_person_finds_in_the_run(config: FinetuneConfig, tmp_path: Path):
    record = finetune(config)
    client = MlflowClient()
    run = client.get_run(record.run_id)
    assert len(run.data.params) <= 80
    paths = {a.path for a in client.list_artifacts(record.run_id)}
    assert paths == {"adapter", "config.json", "learning_curve.png", "predictions.json", "training.log"}
    assert {a.path for a in client.list_artifacts(record.run_id, "adapter")} >= {
        "adapter/adapter_model.safetensors",
        "adapter/adapter_config.json",
        "adapter/origin.json",
    }
    table = json.loads(Path(client.download_artifacts(record.run_id, "predictions.json", str(tmp_path))).read_text())
    assert table["columns"] == ["question", "answer", "references", "em", "f1"]
    assert len(table["data"]) == 20
    assert sum(row[3] for row in table["data"]) / 20 == pytest.approx(record.scores["exact_match"])
    saved = json.loads(Path(client.download_artifacts(record.run_id, "config.json", str(tmp_path))).read_text())
    assert config_of(saved) == config
    for curve, points in (("train/loss", 9), ("train/grad_norm", 9), ("train/learning_rate", 9)):
        assert len(client.get_metric_history(record.run_id, curve)) == points
    assert len(client.get_metric_history(record.run_id, "eval/loss")) >= 3
    inputs = {i.tags[0].value: i.dataset for i in run.inputs.dataset_inputs}
    assert inputs["training"].digest == record.dataset_fingerprint
    assert json.loads(inputs["evaluation"].profile)["used"] == 20


def test_a_probe_sees_the_very_numbers_of_the_full_run(config: FinetuneConfig):
    full, probe = finetune(config), probe_dataset(config)
    assert probe.kind == keys.KIND_PROBE
    assert probe.probe == full.probe
    assert probe.scores == {}
    assert probe.hp == full.hp
    assert read_record(probe.run_id).complete


def test_a_probe_changes_nothing_in_the_run_that_it_watches(config: FinetuneConfig):
    watched, plain = finetune(config), finetune(config.replace(tiers="static"))
    losses = [[m.value for m in MlflowClient().get_metric_history(r.run_id, "train/loss")] for r in (watched, plain)]
    assert losses[0] == losses[1]
    assert watched.scores == plain.scores


def test_a_probe_of_all_weights_sees_the_numbers_of_the_full_run_too(config: FinetuneConfig):
    whole = config.replace(method="full", learning_rate=1e-3)
    full, probe = finetune(whole), probe_dataset(whole)
    assert probe.probe == full.probe
    assert probe.probe["dev_divergence"] > 0
    assert probe.probe["generic_divergence"] > 0
    assert finetune(whole.replace(tiers="static")).scores == full.scores


def test_the_slice_is_measured_before_and_after_and_its_price_is_said(config: FinetuneConfig):
    record = probe_dataset(config)
    assert all(math.isfinite(value) for value in record.probe.values())
    fall = record.probe["dev_initial_loss"] - record.probe["dev_early_loss"]
    assert record.probe["dev_loss_fall"] == pytest.approx(fall, abs=1e-5)
    assert record.probe["dev_divergence"] > 0
    assert record.probe["generic_divergence"] > 0
    assert -1 <= record.probe["dev_gradient_agreement"] <= 1
    assert 0 < record.costs["probe_dev_s"] < record.costs["probe_forward_s"] + record.costs["probe_train_s"]


def test_a_slice_adds_numbers_and_moves_none(config: FinetuneConfig):
    without, beside = probe_dataset(config.replace(dev_limit=0)), probe_dataset(config)
    missing = {name for name, value in without.probe.items() if math.isnan(value)}
    assert missing == {name for name in without.probe if name.startswith("dev_") or name.endswith("_shift")}
    assert {name: value for name, value in without.probe.items() if name not in missing} == {
        name: beside.probe[name] for name in without.probe if name not in missing
    }
    assert without.costs["probe_dev_s"] < beside.costs["probe_dev_s"]


def test_no_answer_of_a_scored_question_reaches_a_feature(config: FinetuneConfig):
    def features(answer: str | None) -> dict[str, float]:
        trial = Trial(config.replace(tiers=",".join(TIERS)))
        if answer is not None:
            scored = [dataclasses.replace(example, answers=(answer,)) for example in trial.materials.scored]
            trial.materials = dataclasses.replace(trial.materials, scored=tuple(scored))
        trial.look()
        trial.train(lambda step, values: None, probe_only=True)
        return trial.features

    assert features("anything else") == features(None)


def test_each_tier_brings_its_features_and_its_price(config: FinetuneConfig):
    paid: dict[str, RunRecord] = {tier: probe_dataset(config.replace(tiers=tier)) for tier in TIERS}
    for tier, record in paid.items():
        assert {lookup(name).tier for name in record.probe} == {tier}
        assert record.costs[f"probe_{tier}_s"] > 0
    assert sum(len(record.probe) for record in paid.values()) == sum(not entry.kind for _, entry in FEATURES)
    assert paid["static"].base_model_digest == ""
    assert paid["embed"].encoder_digest == "53aa51172d142c89"


def test_scored_questions_do_not_change_with_the_seed(config: FinetuneConfig):
    first = probe_dataset(config.replace(tiers="static"))
    second = probe_dataset(config.replace(tiers="static", seed=9))
    assert first.eval_fingerprint == second.eval_fingerprint
    assert first.config_hash != second.config_hash


def test_a_moved_file_is_the_same_dataset(config: FinetuneConfig, tmp_path: Path):
    moved = tmp_path / "elsewhere.json"
    moved.write_bytes(Path(config.data.dataset).read_bytes())
    first = probe_dataset(config.replace(tiers="static"))
    second = probe_dataset(config.replace(tiers="static", dataset=str(moved)))
    assert (first.dataset_fingerprint, first.config_hash) == (second.dataset_fingerprint, second.config_hash)


def test_refused_rows_are_kept_beside_the_result(config: FinetuneConfig, tmp_path: Path):
    document = json.loads(Path(config.data.dataset).read_text())
    document["data"][0]["paragraphs"][0]["qas"][0]["answers"] = [{"text": "", "answer_start": 0}]
    Path(config.data.dataset).write_text(json.dumps(document))
    record = probe_dataset(config.replace(tiers="static"))
    saved = MlflowClient().download_artifacts(record.run_id, "train_rejected.jsonl", str(tmp_path))
    rejected = [json.loads(line) for line in Path(saved).read_text().splitlines()]
    assert len(rejected) == 1
    assert rejected[0]["row"]
    assert record.probe["dataset_size"] == 47


@pytest.mark.parametrize(
    ("change", "family", "message"),
    [
        ({"dataset": "absent.json"}, DataError, "absent.json"),
        ({"task": "qaa"}, ConfigError, "did you mean 'qa'"),
        ({"learning_rate": 0.0}, ConfigError, "learning_rate"),
        ({"base_model": "./absent"}, ModelError, "absent"),
        ({"base_model": "owner/absent"}, ModelError, "cannot be fetched"),
        ({"max_length": 8}, DataError, "max_length=8 cuts off"),
        ({"learning_rate": 10.0, "max_steps": 1, "target_modules": "nothing"}, ConfigError, "target_modules"),
    ],
)
def test_what_goes_wrong_is_said_and_recorded(config: FinetuneConfig, change: dict, family: type, message: str):
    with pytest.raises(family, match=message) as caught:
        finetune(config.replace(**change), experiment="e")
    assert isinstance(caught.value, PredictorError)
    try:
        failed = read_records(["e"])
    except PredictorError:
        return  # a parameter that breaks its rule is refused before there is a run
    for record in failed:
        assert record.status == "FAILED"
        assert record.failure == caught.value.one_line()
        assert record.scores == {}
        assert not record.complete


def test_a_nan_loss_leaves_a_failed_run_and_no_score(config: FinetuneConfig, tmp_path: Path):
    from safetensors.torch import load_file, save_file

    from benchmarks.tiny import write_base

    folder = write_base(tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"].fill_(float("nan"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingError, match="became nan"):
        finetune(config.replace(base_model=str(folder), tiers="static"), experiment="e")
    [record] = read_records(["e"])
    assert record.status == "FAILED"
    assert "became nan" in (record.failure or "")
    assert record.scores == {}


def test_an_interruption_ends_the_run_killed(config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch):
    def interrupted(self: Trial, *args: object, **kwargs: object):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trial, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        finetune(config, experiment="e")
    [record] = read_records(["e"])
    assert (record.status, record.complete) == ("KILLED", False)
