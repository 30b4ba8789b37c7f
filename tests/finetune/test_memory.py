"""The estimate of memory beside what real fine-tunes take, and what follows from it."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from predictor.errors import TrainingError
from predictor.finetune.fit import fit, told
from predictor.finetune.memory import estimate_memory
from predictor.finetune.plan import TrainingPlan, plan_training
from predictor.finetune.settings import Hyperparameters, hyperparameters
from predictor.models.device import Device
from predictor.models.render import RenderedRow
from predictor.models.room import Room

ROOT = Path(__file__).resolve().parents[2]
CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
GPU = Device("cuda", bf16=True, flash_attention=False, memory_bytes=80_000_000_000)
LARGE = Room(500_000_000_000, "available memory of the machine")


@pytest.mark.long
def test_the_estimate_is_what_fine_tunes_take(tiny_base: Path):
    command = [sys.executable, "-m", "tests.finetune.measured_memory", str(tiny_base)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    if not found:
        pytest.skip("this system does not tell a process's peak of memory")
    assert len(found) == 7, run.stderr
    for each in found:
        assert each["estimated_mb"] == pytest.approx(each["measured_mb"], rel=0.25), each


def smollm():
    from transformers import LlamaConfig

    # HuggingFaceTB/SmolLM2-135M-Instruct, from its published config.json
    return LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=True,
    )  # fmt: skip


def lengths(*tokens: int, answer: int = 6) -> list[RenderedRow]:
    return [RenderedRow(str(i), [5] * (n - answer), [6] * answer) for i, n in enumerate(tokens)]


def fitted(
    hp: Hyperparameters, rows: list[RenderedRow], free: Room = LARGE, device: Device = CPU, config=None
) -> TrainingPlan:
    return fit(plan_training(hp.training, len(rows), device), config or smollm(), hp, rows, device, free)


SQUAD = lengths(*[212] * 60, 300, 475, 552)


def test_a_real_model_goes_through_a_cpu_in_small_passes():
    plan = fitted(hyperparameters(batch_size=16), SQUAD)
    assert plan.per_device_batch_size * plan.gradient_accumulation_steps == 16
    assert 552 < plan.pass_tokens < 1000
    assert not plan.checkpointing
    assert told(plan, smollm(), hyperparameters(batch_size=16), SQUAD, CPU) == ""
    # The size of a pass has nothing to do with that of the batch, nor with memory where there is enough.
    assert fitted(hyperparameters(batch_size=64), SQUAD).pass_tokens == plan.pass_tokens
    assert fitted(hyperparameters(batch_size=16), SQUAD, Room(8_000_000_000, "")) == plan


def test_little_memory_makes_smaller_passes_then_recomputes_then_refuses():
    hp = hyperparameters(batch_size=16)
    usual = fitted(hp, SQUAD)
    seen = []
    for gigabytes in (4.0, 3.2, 2.0):
        plan = fitted(hp, SQUAD, Room(int(gigabytes * 1e9), "available memory of the machine"))
        largest = plan.pass_tokens or plan.per_device_batch_size * 552
        estimate = estimate_memory(
            smollm(), hp, tokens=largest, learnt=round(largest * 6 / 212), dtype_bytes=4,
            checkpointing=plan.checkpointing, cpu=True,
        )  # fmt: skip
        assert estimate.total_mb <= gigabytes * 1000
        assert largest >= 552
        seen.append((plan.pass_tokens < usual.pass_tokens, plan.checkpointing))
    assert seen[0] == (False, False)
    assert seen[1] == (True, False)
    assert seen[2][1]
    little = Room(600_000_000, "the memory limit of /sys/fs/cgroup")
    with pytest.raises(TrainingError, match=r"needs about [\d.]+ GB and 0.6 GB are free") as caught:
        fitted(hp, SQUAD, little)
    text = str(caught.value)
    assert "1 row of 552 tokens in one pass; free: the memory limit of /sys/fs/cgroup" in text
    assert "activations recomputed" in text
    assert "lower max_length" in text


def test_want_of_memory_is_told():
    hp = hyperparameters(batch_size=16)
    short, shorter = (fitted(hp, SQUAD, Room(int(g * 1e9), "")) for g in (3.2, 2.0))
    assert f"{short.pass_tokens} tokens in one pass instead of" in told(short, smollm(), hp, SQUAD, CPU)
    assert "activations are recomputed" in told(shorter, smollm(), hp, SQUAD, CPU)


def test_rows_of_a_pass_that_were_asked_for_stay_or_are_refused():
    hp = hyperparameters(batch_size=16, per_device_batch_size=16)
    plan = fitted(hp, SQUAD)
    assert (plan.per_device_batch_size, plan.gradient_accumulation_steps, plan.pass_tokens) == (16, 1, 0)
    little = Room(1_800_000_000, "available memory of the machine")
    with pytest.raises(TrainingError, match=r"16 rows of 552 tokens in one pass[\s\S]*the largest that fits") as caught:
        fitted(hp, SQUAD, little)
    largest = int(str(caught.value).split("per_device_batch_size=")[1].split(",")[0])
    assert largest in (2, 4, 8)
    fitting = hyperparameters(batch_size=16, per_device_batch_size=largest)
    assert fitted(fitting, SQUAD, little).per_device_batch_size == largest
    with pytest.raises(TrainingError, match=f"{2 * largest} rows of 552"):
        fitted(hyperparameters(batch_size=16, per_device_batch_size=2 * largest), SQUAD, little)


def test_the_embedded_base_goes_through_in_batches_as_ever():
    from transformers import AutoConfig

    from predictor.lab import base_model_path

    config = AutoConfig.from_pretrained(base_model_path())
    rows = lengths(*[240] * 512, answer=60)  # longer than any of its datasets
    for method in ("lora", "full"):
        for batch in (8, 16, 64, 128):
            hp = hyperparameters(method=method, batch_size=batch)
            assert fitted(hp, rows, config=config) == plan_training(hp.training, 512, CPU)


def test_a_gpu_takes_fewer_rows_before_it_recomputes():
    from tests.finetune.test_plan import _qwen_7b

    hp, rows = hyperparameters(), lengths(*[1024] * 100, answer=30)
    whole = fitted(hp, rows, Room(140_000_000_000, "memory of the GPU"), GPU, _qwen_7b())
    assert (whole.per_device_batch_size, whole.pass_tokens, whole.checkpointing) == (8, 0, False)
    fewer = fitted(hp, rows, Room(80_000_000_000, "memory of the GPU"), GPU, _qwen_7b())
    assert 4 * 1024 <= fewer.pass_tokens < 8 * 1024
    assert not fewer.checkpointing
    recomputed = fitted(hp, rows, Room(24_000_000_000, "memory of the GPU"), GPU, _qwen_7b())
    assert recomputed.checkpointing
    # With flash attention rows are laid end to end, so that whole batches are made smaller.
    flash = fitted(hp, rows, Room(80_000_000_000, ""), dataclasses.replace(GPU, flash_attention=True), _qwen_7b())
    assert (flash.per_device_batch_size, flash.gradient_accumulation_steps, flash.pass_tokens) == (4, 16, 0)
    with pytest.raises(TrainingError, match=r"needs about [\d.]+ GB and 12.0 GB are free[\s\S]*memory of the GPU"):
        fitted(hp, rows, Room(12_000_000_000, "memory of the GPU"), GPU, _qwen_7b())


def test_kinds_of_models_that_leave_sizes_unsaid_have_an_estimate_too():
    from transformers import GPT2Config

    estimate = estimate_memory(
        GPT2Config(), hyperparameters(), tokens=100, dtype_bytes=4, checkpointing=False, cpu=True
    )
    assert 400 < estimate.weights_mb < 700  # 124 million weights
