"""The run of a fine-tune that was cut off and started again is that of an undisturbed one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from mlflow import MlflowClient

from predictor.errors import ConfigError
from predictor.flows.finetune import finetune
from predictor.flows.probe import probe_dataset
from predictor.progress import Silent
from predictor.schema import RunRecord, keys
from predictor.tracking import read_records
from predictor.trial.config import FinetuneConfig
from predictor.trial.trial import Trial
from tests.small import small_config

pytestmark = pytest.mark.usefixtures("one_thread")


class Interrupted(Silent):
    """A person who presses Ctrl-C when the training has taken so many steps, or lets it run (0)."""

    def __init__(self, after: int = 0) -> None:
        self.left = after
        self.training = False
        self.notes: list[str] = []

    def stage(self, name: str, total: int = 0) -> None:
        self.training = name == "train"

    def advance(self, steps: int = 1, **values: float | str) -> None:
        self.left -= self.training
        if self.training and self.left == 0:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def config(tiny_base: Path, tmp_path: Path, store: str) -> FinetuneConfig:
    return small_config(
        tiny_base,
        tmp_path,
        rows=24,
        questions=16,
        eval_limit=8,
        dev_limit=3,
        batch_size=8,
        epochs=2.0,
        probe_steps=4,
        tiers="train",
    )


def results(record: RunRecord, folder: Path) -> dict[str, object]:
    """All that two runs of the same fine-tune share: the record without seconds, the curves, the artifacts' bytes."""
    client = MlflowClient()
    curves = {
        key: [(point.step, point.value) for point in client.get_metric_history(record.run_id, key)]
        for key in ("train/loss", "train/grad_norm", "train/learning_rate", "eval/loss")
    }
    artifacts = {
        name: Path(client.download_artifacts(record.run_id, name, str(folder))).read_bytes()
        for name in ("adapter/adapter_model.safetensors", "learning_curve.png", "predictions.json")
    }
    timeless = dataclasses.replace(record, run_id="", costs={})
    costs = {name: value for name, value in record.costs.items() if name.startswith("train_") and name != "train_s"}
    return {"record": timeless, "costs": costs, "curves": curves, "artifacts": artifacts}


def test_an_interrupted_run_goes_on_where_it_was(config: FinetuneConfig, tmp_path: Path):
    plain = finetune(config, experiment="e")
    careful = config.replace(checkpoint_steps=2)
    with pytest.raises(KeyboardInterrupt):
        finetune(careful, Interrupted(after=3), experiment="e")
    identity = Trial(config).identity
    assert [entry.name for entry in Path("checkpoints").iterdir()] == [identity]
    with pytest.raises(KeyboardInterrupt):
        finetune(careful, Interrupted(after=5), experiment="e")
    watched = Interrupted()
    resumed = finetune(careful, watched, experiment="e")
    assert watched.notes[0] == "a checkpoint is there: the fine-tune goes on from step 4"
    assert watched.notes[1].startswith("Epoch 2/2 · Step 6/6 · Loss ")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert results(resumed, tmp_path / "a") == results(plain, tmp_path / "b")
    assert resumed.config_hash == identity
    assert resumed.costs["checkpoint_s"] > 0
    assert not Path("checkpoints").exists(), "the result is in the store"
    assert sorted(record.status for record in read_records(["e"])) == ["FINISHED", "FINISHED", "KILLED", "KILLED"]


def test_the_identity_is_known_beforehand_and_checkpoints_do_not_change_it(config: FinetuneConfig):
    planned = Trial(config).identity
    for change in ({"checkpoint_steps": 5}, {"checkpoint_dir": "elsewhere"}):
        assert Trial(config.replace(**change)).identity == planned
    for change in (
        {"learning_rate": 1e-3},
        {"seed": 2},
        {"early_stopping_patience": 1},
        {"probe_steps": 5},
        {"dev_limit": 2},
    ):
        assert Trial(config.replace(**change)).identity != planned
    for absent in ("owner/absent", "./absent"):
        assert Trial(config.replace(base_model=absent)).identity is None


def test_a_probe_sees_no_step_that_early_stopping_may_leave_out(config: FinetuneConfig):
    stopping = config.replace(early_stopping_patience=1, probe_steps=6, max_steps=6)
    full, probe = finetune(stopping), probe_dataset(stopping)
    assert probe.probe == full.probe
    assert full.hp["early_stopping_patience"] == 1
    assert len(MlflowClient().get_metric_history(probe.run_id, "train/loss")) == 4


def test_early_stopping_without_a_development_slice(config: FinetuneConfig):
    with pytest.raises(ConfigError, match=r"early_stopping_patience=1[\s\S]*dev_limit above 0"):
        finetune(config.replace(early_stopping_patience=1, dev_limit=0), experiment="e")
    [record] = read_records(["e"])
    assert (record.kind, record.status) == (keys.KIND_FINETUNE, "FAILED")
