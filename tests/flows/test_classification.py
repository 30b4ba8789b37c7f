"""A classifier from a folder to a run, through the flow that users start."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import mlflow
import numpy as np
import pytest

from benchmarks.tiny import labelled_rows, write_encoder, write_labelled
from predictor.errors import ConfigError, ModelError
from predictor.flows.finetune import finetune
from predictor.flows.probe import probe_dataset
from predictor.flows.sweep import SweepConfig, sweep
from predictor.models.classifier import load_saved
from predictor.models.device import detect
from predictor.trial.config import FinetuneConfig, finetune_config

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def config(encoder: Path, tmp_path: Path) -> FinetuneConfig:
    folder = tmp_path / "set"
    folder.mkdir()
    for name, count, start in (("train", 64, 0), ("dev", 20, 100), ("test", 30, 200)):
        write_labelled(folder / f"{name}.jsonl", labelled_rows(count, start))
    return finetune_config(
        task="classification", dataset=str(folder), base_model=str(encoder), learning_rate=5e-3, epochs=12,
        tiers="static,forward,train", probe_steps=4,
    )  # fmt: skip


def test_a_fine_tune_leaves_scores_floor_figures_and_a_model_that_says_the_same(config: FinetuneConfig, store: str):
    record = finetune(config)
    scores = record.scores
    assert scores["accuracy"] > 0.7
    assert scores["bag_of_words_accuracy"] == 1.0
    assert scores["majority_accuracy"] == 0.5
    assert {"macro_f1_se", "bag_of_words_macro_f1_se", "n"} <= set(scores)
    assert {"bag_of_words_dev_accuracy", "label_balance", "early_accuracy", "dev_early_loss"} <= set(record.probe)
    folder = Path(mlflow.artifacts.download_artifacts(run_id=record.run_id, tracking_uri=store))
    names = {each.name for each in folder.iterdir()}
    assert {"test_results.json", "test_summary.txt", "confusion_matrix.png", "learning_curve.png", "adapter"} <= names
    table = json.loads((folder / "predictions.json").read_text())
    columns = {name: [row[place] for row in table["data"]] for place, name in enumerate(table["columns"])}
    assert set(columns) == {"text", "label", "answer", "accuracy", "p(name)", "p(town)"}
    loaded = load_saved(folder / "adapter", detect())
    again = [row["town"] for row in loaded.predict(columns["text"])]
    assert again == pytest.approx(columns["p(town)"], abs=1e-6)
    assert [("town" if p > 0.5 else "name") for p in again] == columns["answer"]
    assert np.mean(columns["accuracy"]) == pytest.approx(scores["accuracy"])
    client = mlflow.MlflowClient(store)
    points = client.get_metric_history(record.run_id, "eval/accuracy")
    assert len(points) >= 4
    # The probe is the first steps of the very run.
    seen = probe_dataset(config)
    for name in ("probe_loss_fall", "early_accuracy", "dev_early_loss", "bag_of_words_agreement"):
        if name in record.probe:
            assert seen.probe[name] == record.probe[name]


def test_an_encoder_writes_no_answers_and_a_decoder_may_say_the_label(
    config: FinetuneConfig, tiny_base: Path, encoder: Path, store: str
):
    with pytest.raises(ModelError, match=r"loaded|chat template"):
        finetune(config.replace(method="sft", epochs=1))
    record = finetune(
        config.replace(method="sft", base_model=str(tiny_base), epochs=1, tiers="static", eval_limit=6, dev_limit=4)
    )
    assert record.method == "sft"
    assert 0.0 <= record.scores["accuracy"] <= 1.0


def test_minilm_is_no_base_for_answers(config: FinetuneConfig, store: str):
    with pytest.raises(ModelError, match="minilm is an encoder"):
        finetune(config.replace(base_model="minilm", method="sft"))


def test_it_goes_on_from_an_adapter_with_its_head_and_beside_a_base_in_four_bits(config: FinetuneConfig, store: str):
    config = config.replace(tiers="static", lora_dropout=0.0)
    first = finetune(config)
    folder = mlflow.artifacts.download_artifacts(run_id=first.run_id, artifact_path="adapter", tracking_uri=store)
    one_step = {"learning_rate": 1e-9, "max_steps": 1}
    assert finetune(config.replace(start_from=folder, **one_step)).scores["accuracy"] == first.scores["accuracy"]
    quantised = finetune(config.replace(method="qlora"))
    assert quantised.scores["accuracy"] > 0.7
    kept = Path(mlflow.artifacts.download_artifacts(run_id=quantised.run_id, tracking_uri=store))
    table = json.loads((kept / "predictions.json").read_text())
    columns = {name: [row[place] for row in table["data"]] for place, name in enumerate(table["columns"])}
    again = [row["town"] for row in load_saved(kept / "adapter", detect()).predict(columns["text"])]
    assert again == pytest.approx(columns["p(town)"], abs=1e-5)


def test_a_head_replays_nothing(config: FinetuneConfig, store: str):
    with pytest.raises(ConfigError, match="a model with a head replays nothing"):
        finetune(config.replace(replay=config.data.dataset))


def test_settings_of_a_head_belong_to_classification():
    with pytest.raises(ConfigError, match="head is not read by task=qa"):
        finetune_config(head="linear")


def test_a_sweep_over_methods_and_seeds_leaves_one_table_with_paired_tests(
    config: FinetuneConfig, encoder: Path, tmp_path: Path, store: str
):
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"datasets: ['{config.data.dataset}']\ntask: classification\nbase_models: ['{encoder}']\nseeds: [0, 42]\n"
        "hp: {method: [full, lora], epochs: [1], learning_rate: [1.0e-3]}\ntiers: static\n"
    )
    result = sweep(SweepConfig(plan=str(plan), executor="inline"), experiment="methods")
    assert result.tally is not None
    assert result.tally.finished == 4
    folder = Path(mlflow.artifacts.download_artifacts(run_id=result.run_id, tracking_uri=store))
    with (folder / "results.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["method"], row["seeds"]) for row in rows] == [("full", "2"), ("lora", "2")]
    assert float(rows[0]["bag_of_words_accuracy"]) == 1.0
    with (folder / "paired_tests.csv").open(encoding="utf-8") as stream:
        tests = list(csv.DictReader(stream))
    assert [(test["seed"], test["rows"]) for test in tests] == [("0", "30"), ("42", "30")]
    again = sweep(SweepConfig(plan=str(plan), executor="inline"), experiment="methods")
    assert again.tally is not None
    assert (again.tally.finished, again.tally.done_before) == (0, 4)
    there = Path(mlflow.artifacts.download_artifacts(run_id=again.run_id, tracking_uri=store))
    assert (there / "results.csv").read_text() == (folder / "results.csv").read_text()
