"""What little memory does to a run: smaller passes, told, that change neither its name nor its numbers; or no run."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from predictor.errors import TrainingError
from predictor.flows.finetune import finetune
from predictor.models.room import SHARE, Room
from predictor.schema import keys
from predictor.trial import trial as trials
from predictor.trial.config import FinetuneConfig
from tests.trial.test_rows import Heard, config

pytestmark = pytest.mark.usefixtures("one_thread")
__all__ = ["config"]  # a fixture


def test_what_cannot_fit_is_refused_before_anything_is_measured(
    config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch, store: str
):
    monkeypatch.setenv(SHARE, "1000")
    with pytest.raises(TrainingError, match=r"and 0.0 GB are free[\s\S]*share of main memory, PREDICTOR_MEMORY_SHARE"):
        finetune(config)
    client = MlflowClient()
    [run] = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.info.status == "FAILED"
    assert "GB are free" in run.data.tags[keys.TAG_FAILURE]
    assert not [name for name in run.data.metrics if name.startswith(keys.PROBE)]


def test_smaller_passes_are_told_and_make_no_other_fine_tune(config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch):
    config = config.replace(lora_dropout=0.0, tiers="forward,train")
    usual = finetune(config)
    monkeypatch.setattr(trials, "room", lambda device: Room(2_500_000, "a small machine"))
    heard = Heard()
    short = finetune(config, heard)
    assert [
        note for note in heard.notes if "memory is short: " in note and "in one pass instead of a whole batch" in note
    ]
    assert short.config_hash == usual.config_hash
    assert short.scores == usual.scores
    assert short.probe.keys() == usual.probe.keys()
    for name, value in usual.probe.items():
        assert short.probe[name] == pytest.approx(value, rel=1e-4, abs=1e-5, nan_ok=True), name


def test_the_first_look_takes_half_the_passes_of_a_plan_since_it_takes_twice_the_memory(
    config: FinetuneConfig, monkeypatch: pytest.MonkeyPatch
):
    seen: list[int] = []
    original = trials.FirstSteps

    def watched(*arguments, **named):
        seen.append(arguments[-1])
        return original(*arguments, **named)

    monkeypatch.setattr(trials, "FirstSteps", watched)
    monkeypatch.setattr(trials, "room", lambda device: Room(2_500_000, "a small machine"))
    with trials.Trial(config.replace(tiers="train")) as trial:
        trial.train(lambda step, values: None, probe_only=True)
        assert seen == [trial.plan.pass_tokens // 2]
        assert trial.plan.pass_tokens > 0
