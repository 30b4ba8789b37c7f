"""A model with a head that gives scores, from score files to a run, through the flow that users start."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from benchmarks.tiny import write_encoder
from predictor.errors import ConfigError
from predictor.flows.evaluate import EvaluateConfig, evaluate
from predictor.flows.finetune import finetune
from predictor.flows.generate import GenerateConfig, generate
from predictor.flows.probe import probe_dataset
from predictor.models.device import detect
from predictor.models.head import head_of
from predictor.models.scorer import load_scorer
from predictor.progress import Silent
from predictor.trial.config import FinetuneConfig, finetune_config
from predictor.trial.score_trial import ScoreTrial

pytestmark = pytest.mark.usefixtures("one_thread")
PROMPT = "Rate it:"
LEVELS = {"Rome": 1, "Oslo": 2, "Lima": 4, "Paris": 5}
"""A word of a text → its score in growth; that in size runs the other way."""


def rows(count: int, start: int, *, size: bool) -> list[dict[str, Any]]:
    made = []
    for number in range(start, start + count):
        word = list(LEVELS)[number % 4]
        score = 6 - LEVELS[word] if size else LEVELS[word]
        text = f"{word} {word} {word} in note {number}"
        made.append({"prompt": PROMPT, "company_info": text, "think": "", "score": score, "reason": "So it is."})
    return made


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def config(encoder: Path, tmp_path: Path) -> FinetuneConfig:
    # Of growth there are twice as many training rows as of size: no row has both.
    for split, counts, start in (("train", (40, 20), 0), ("eval", (16, 16), 200)):
        folder = tmp_path / "scores" / split
        folder.mkdir(parents=True)
        for name, count in zip(("growth", "size"), counts, strict=True):
            (folder / f"{name}.json").write_text(json.dumps(rows(count, start, size=name == "size")))
    return finetune_config(
        task="scoring", head="regression", dataset=str(tmp_path / "scores" / "train"),
        eval_dataset=str(tmp_path / "scores" / "eval"), base_model=str(encoder), dev_limit=8, learning_rate=5e-3,
        batch_size=8, epochs=8, tiers="static,forward,train", probe_steps=3,
    )  # fmt: skip


def test_a_fine_tune_leaves_the_scores_of_any_rater_a_floor_and_a_model_that_gives_the_same(
    config: FinetuneConfig, store: str
):
    record = finetune(config)
    scores = record.scores
    assert scores["parse_rate"] == 1.0
    assert scores["pearson"] > 0.8
    assert scores["closeness"] > 0.8
    of_parts = {f"{name}/{part}" for name in ("mae", "rmse", "pearson", "spearman") for part in ("growth", "size")}
    assert {"mae", "rmse", "spearman", "binned_accuracy", "collapse", "consistency", "closeness_se"} <= set(scores)
    assert of_parts <= set(scores)
    assert {"floor_mae", "floor_pearson", "floor_mae/size"} <= set(scores)
    assert not {"coherence", "sufficiency", "specificity", "expected_mae"} & set(scores)
    assert {"early_closeness", "dev_early_loss"} <= set(record.probe)
    folder = Path(mlflow.artifacts.download_artifacts(run_id=record.run_id, tracking_uri=store))
    assert {"scores.png", "confusion.png", "consistency.png", "adapter"} <= {each.name for each in folder.iterdir()}
    table = json.loads((folder / "predictions.json").read_text())
    columns = {name: [row[place] for row in table["data"]] for place, name in enumerate(table["columns"])}
    loaded = load_scorer(folder / "adapter", detect())
    assert (loaded.dimensions, loaded.low, loaded.high) == (["growth", "size"], 1.0, 5.0)
    again = loaded.predict(columns["input"], prompt=PROMPT)
    for name in loaded.dimensions:
        assert [row[name] for row in again] == pytest.approx(columns[f"score({name})"], abs=1e-5)
    for row, dimension, answer in zip(again, columns["dimension"], columns["answer"], strict=True):
        assert float(answer.removeprefix("Score: ")) == pytest.approx(row[dimension], abs=0.001)
    assert np.mean(columns["mae"]) == pytest.approx(scores["mae"])
    # `generate` says the same of the same rows.
    asked = GenerateConfig(model=record.run_id, input=config.evaluation.eval_dataset, output="out.jsonl")
    answered = generate(asked)
    assert answered.rejected == 0
    said = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert set(said[0]) == {"id", "input", "given/growth", "given/size", "score/growth", "score/size", "cut"}
    by_text = {(row["input"], row["given/size"] is None): row for row in said}
    for text, dimension, row in zip(columns["input"], columns["dimension"], again, strict=True):
        assert by_text[text, dimension == "growth"][f"score/{dimension}"] == pytest.approx(row[dimension], abs=1e-5)
    with pytest.raises(ConfigError, match="is a model with a head that gives scores, and draws nothing"):
        generate(dataclasses.replace(asked, temperature=1.0))
    assert len(mlflow.MlflowClient(store).get_metric_history(record.run_id, "eval/closeness")) >= 4
    # The probe is the first steps of the very run.
    seen = probe_dataset(config)
    for name in ("loss_decay", "early_closeness", "dev_early_loss"):
        assert seen.probe[name] == record.probe[name]
    with pytest.raises(ConfigError, match="a fine-tune with a head is not compared with its base"):
        evaluate(EvaluateConfig().replace(run_id=record.run_id))


def test_all_weights_may_learn_rows_with_all_their_scores(config: FinetuneConfig, store: str):
    asked = {"method": "full", "head": "linear_regression", "scoring_together": True, "learning_rate": 1e-3}
    record = finetune(config.replace(**asked, epochs=12, tiers="static", metric_for_best_model="loss"))
    assert record.scores["parse_rate"] == 1.0
    folder = Path(mlflow.artifacts.download_artifacts(run_id=record.run_id, tracking_uri=store))
    table = json.loads((folder / "predictions.json").read_text())
    columns = {name: [row[place] for row in table["data"]] for place, name in enumerate(table["columns"])}
    assert set(columns["dimension"]) == {"growth, size"}
    assert len(columns["dimension"]) == record.scores["n"]
    assert (folder / "model" / "model.safetensors").is_file()
    again = load_scorer(folder / "model", detect()).predict(columns["input"], prompt=PROMPT)
    assert [row["size"] for row in again] == pytest.approx(columns["score(size)"], abs=1e-5)


def test_one_that_was_cut_off_goes_on_to_the_same_bits(config: FinetuneConfig, store: str, tmp_path: Path):
    config = config.replace(epochs=2, tiers="static")
    whole = finetune(config)

    class Watch(Silent):
        steps = 0

        def __init__(self) -> None:
            self.told: list[str] = []

        def advance(self, steps: int = 1, **values: float | str) -> None:
            self.steps += "loss" in values
            if self.steps == 9 and not self.told:  # of a resumed one that is the past
                raise KeyboardInterrupt

        def note(self, text: str) -> None:
            if "goes on" in text:
                self.told.append(text)

    kept = config.replace(checkpoint_steps=4, checkpoint_dir=str(tmp_path / "checkpoints"))
    with pytest.raises(KeyboardInterrupt):
        finetune(kept, Watch())
    watched = Watch()
    again = finetune(kept, watched)
    assert "step 8" in watched.told[0]
    assert again.config_hash == whole.config_hash
    names = [name for name in whole.scores if np.isfinite(whole.scores[name])]
    assert {name: again.scores[name] for name in names} == {name: whole.scores[name] for name in names}
    files = [
        Path(mlflow.artifacts.download_artifacts(run_id=run.run_id, tracking_uri=store))
        / "adapter" / "adapter_model.safetensors"
        for run in (whole, again)
    ]  # fmt: skip
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_decoder_gives_scores_too(config: FinetuneConfig, store: str, tiny_base: Path):
    record = finetune(config.replace(base_model=str(tiny_base), tiers="static,train", learning_rate=1e-2))
    assert record.scores["parse_rate"] == 1.0
    assert record.scores["pearson"] > 0.5
    assert "early_closeness" in record.probe
    folder = Path(mlflow.artifacts.download_artifacts(run_id=record.run_id, tracking_uri=store))
    table = json.loads((folder / "predictions.json").read_text())
    columns = {name: [row[place] for row in table["data"]] for place, name in enumerate(table["columns"])}
    again = load_scorer(folder / "adapter", detect()).predict(columns["input"], prompt=PROMPT)
    for name in ("growth", "size"):
        assert [row[name] for row in again] == pytest.approx(columns[f"score({name})"], abs=1e-5)


def test_a_head_begins_at_the_means_of_its_dimensions_and_a_step_is_the_same_in_passes(
    config: FinetuneConfig, store: str, monkeypatch: pytest.MonkeyPatch
):
    trial = ScoreTrial(config)
    trial._learning().begin(trial.base.model)
    bias = list(head_of(trial.base.model).modules())[-1].bias.detach().numpy()
    assert bias == pytest.approx([0.5, 0.5])  # of each word there are as many
    # Dropout of the head would draw other numbers for other passes.
    import torch

    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, input: input)
    losses = []
    for tokens in (0, 20):
        one_step = config.replace(max_steps=1, lora_dropout=0.0, tiers="static", dev_limit=0)
        with ScoreTrial(one_step) as again:
            again.__dict__["plan"] = again.plan.__class__(**{**vars(again.plan), "pass_tokens": tokens})
            curve: dict[str, float] = {}
            again.train(lambda step, values, curve=curve: curve.update(values))
            losses.append(curve["train/loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_nothing_is_replayed_and_no_evaluation_follows(config: FinetuneConfig, store: str):
    with pytest.raises(ConfigError, match="a model with a head replays nothing") as caught:
        finetune(config.replace(replay=config.data.dataset))
    assert "head=none" in (caught.value.fix or "")
    with pytest.raises(ConfigError, match="a fine-tune with a head is not compared with its base"):
        finetune(config.replace(evaluate=True))
