"""The stories of the lab: a dataset file, and a base model with its card, curve and run."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.config import from_strings
from predictor.errors import ConfigError
from predictor.flows.lab import LabConfig, lab
from predictor.flows.pretrain import PretrainConfig, pretrain


def test_lab_writes_a_dataset_and_the_evaluation(tmp_path: Path) -> None:
    written = lab(LabConfig(family="wrong_answers", dial=0.3, size=8, output=str(tmp_path)))
    assert written.name == "wrong_answers-dial0.3-size8-seed1.json"
    assert lab(LabConfig(family="evaluation", output=str(tmp_path))).name == "evaluation.json"


def test_lab_takes_the_mildest_setting_when_no_dial_is_given(tmp_path: Path) -> None:
    assert lab(LabConfig(family="wrong_answers", size=8, output=str(tmp_path))).name.startswith("wrong_answers-dial0-")


def test_lab_refuses_an_unknown_family(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'verbose_answers'"):
        lab(LabConfig(family="verbose_answer", output=str(tmp_path)))


def test_pretrain_writes_a_model_with_its_card_and_logs_its_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from predictor.lab import specification

    few = specification.evaluation_examples()[:4]
    monkeypatch.setattr(specification, "evaluation_examples", lambda: few)
    small = {"width": "32", "layers": "1", "heads": "2", "mlp_width": "32", "passages": "2", "vocabulary": "1024"}
    config = from_strings(PretrainConfig, {**small, "steps": "2", "output": str(tmp_path / "base")})
    store = f"sqlite:///{tmp_path}/store.db"
    numbers = pretrain(config, tracking_uri=store, experiment="lab")
    assert {"loss", "exact_match", "contains", "contains_met"} <= set(numbers)
    card = (tmp_path / "base" / "README.md").read_text(encoding="utf-8")
    assert "| `width` | 32 |" in card
    assert "| contains_met |" in card
    client = MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("lab").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["recipe/width"] == "32"
    assert client.get_metric_history(run.info.run_id, "train/loss")
