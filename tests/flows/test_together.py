"""One fine-tune by two processes of a launcher."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from predictor.errors import ConfigError
from predictor.flows.finetune import finetune, follow
from predictor.models import crew
from predictor.server.children import free_port
from predictor.tracking import read_records
from predictor.trial.config import finetune_config

VALUES = {
    "dataset": "lab:size:dial=32:seed=1", "eval_limit": 40, "batch_size": 8, "epochs": 2.0, "lora_dropout": 0.0,
    "learning_rate": 3e-3, "tiers": "static,train", "probe_steps": 2,
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]


def launch(folder: Path, **more: object) -> subprocess.Popen:
    flags = [text for name, value in {**VALUES, **more}.items() for text in (f"--{name}", str(value))]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={free_port()}"]
    return subprocess.Popen(
        [*launcher, "-m", "entrypoints.finetune", *flags],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_processes_train_what_one_trains_and_leave_one_run(store: str, tmp_path: Path):
    alone = finetune(finetune_config(**VALUES))
    together = launch(tmp_path)
    said = together.communicate(timeout=120)[0]
    assert together.returncode == 0, said
    assert said.count("optimizer steps") == 1
    [other] = [record for record in read_records(["Default"]) if record.run_id != alone.run_id]
    assert other.config_hash == alone.config_hash
    assert other.status == "FINISHED"
    assert other.scores["exact_match"] == pytest.approx(alone.scores["exact_match"], abs=0.03)
    for name in ("early_loss", "gradient_norm_mean", "dev_gradient_agreement", "dev_early_loss"):
        assert other.probe[name] == pytest.approx(alone.probe[name], rel=1e-3)
    assert other.costs["train_tokens"] == alone.costs["train_tokens"]


@pytest.mark.long
def test_a_process_that_is_killed_ends_all_and_the_next_start_goes_on(store: str, tmp_path: Path):
    more = {"epochs": 12.0, "checkpoint_steps": 4}
    first = launch(tmp_path, **more)
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("checkpoints/*/step-*")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    children = psutil.Process(first.pid).children()
    os.kill(children[-1].pid, signal.SIGKILL)
    first.communicate(timeout=90)
    assert first.returncode != 0
    second = launch(tmp_path, **more)
    said = second.communicate(timeout=120)[0]
    assert second.returncode == 0, said
    assert "goes on from step" in said
    assert sorted(record.status for record in read_records(["Default"]))[-1:] == ["FINISHED"]


def test_a_launcher_that_divides_the_model_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with (
        pytest.raises(ConfigError, match=r"divide the model by FSDP[\s\S]*every process holds the whole base"),
        crew.joined(),
    ):
        pass


def test_a_size_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(ConfigError, match="WORLD_SIZE='two' is no whole number"), crew.joined():
        pass


def test_heads_are_trained_by_one_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crew, "_current", crew.Crew(1, 2, 1))
    config = finetune_config(dataset="x", task="classification", method="lora", base_model="minilm", eval_dataset="y")
    with pytest.raises(ConfigError, match=r"2 processes are to train a head[\s\S]*method=sft"):
        follow(config)


def test_one_process_of_a_launcher_is_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    with crew.joined() as found:
        assert found.leads
        assert crew.agree("said") == "said"
