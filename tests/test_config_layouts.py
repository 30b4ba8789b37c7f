"""Configuration files in the layouts that people bring from other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from predictor.config import from_strings, parameters_of
from predictor.config.layouts import ANYWHERE, INSIDE, SECTIONS
from predictor.config.sections import all_parameters, sections_of
from predictor.errors import ConfigError
from predictor.trial.config import FinetuneConfig, finetune_config

SECTIONED = """
model: {name: smollm2}
data: {path: talks.json, validation: held.json}
task: chat
lora: {r: 16, alpha: 64, dropout: 0.05, target_modules: [q_proj, v_proj]}
training: {epochs: 2, batch_size: 8, learning_rate: 2e-4, lr_scheduler_type: linear, seed: 7}
"""
FLAT = """
model_name_or_path: smollm2
dataset: talks.json
finetuning_type: lora
lora_rank: 4
lora_alpha: 8
lora_target: all
cutoff_len: 2048
max_samples: 100
val_size: 0.2
per_device_train_batch_size: 2
gradient_accumulation_steps: 8
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
"""


def read(folder: Path, text: str, **given: str) -> FinetuneConfig:
    path = folder / "c.yaml"
    path.write_text(text)
    return from_strings(FinetuneConfig, {"config": str(path), **given})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            SECTIONED,
            {
                "base_model": "smollm2", "dataset": "talks.json", "eval_dataset": "held.json", "task": "chat",
                "lora_r": 16, "lora_alpha": 64, "lora_dropout": 0.05, "target_modules": "q_proj,v_proj", "epochs": 2.0,
                "batch_size": 8, "learning_rate": 2e-4, "lr_scheduler": "linear", "seed": 7,
            },
        ),
        (
            FLAT,
            {
                "base_model": "smollm2", "dataset": "talks.json", "lora_r": 4, "lora_alpha": 8, "max_length": 2048,
                "target_modules": "all-linear", "train_limit": 100, "eval_dataset": "split:0.2", "batch_size": 16,
                "per_device_batch_size": 2, "epochs": 3.0, "lr_scheduler": "cosine", "warmup_ratio": 0.1,
            },
        ),
        ("peft: {r: 2}\ntraining_args: {max_seq_length: 64}", {"lora_r": 2, "max_length": 64}),
    ],
)  # fmt: skip
def test_a_layout_that_people_bring_is_read_as_it_is(tmp_path: Path, text: str, expected: dict[str, Any]):
    assert read(tmp_path, text) == finetune_config(**expected)


def test_what_is_given_beside_the_file_wins(tmp_path: Path):
    assert read(tmp_path, SECTIONED, lora_r="2").hyperparameters.method.settings.lora_r == 2


@pytest.mark.parametrize(
    ("text", "batch"),
    [
        ("batch_size: 4", (4, 0)),
        ("batch_size: 4\ngradient_accumulation_steps: 3", (12, 4)),
        ("training: {batch_size: 4, gradient_accumulation_steps: 1}", (4, 4)),
        ("per_device_train_batch_size: 4", (4, 4)),
        ("micro_batch_size: 4\nbatch_size: 12\ngradient_accumulation_steps: 3", (12, 4)),
    ],
)
def test_a_batch_is_what_one_optimizer_step_sees(tmp_path: Path, text: str, batch: tuple[int, int]):
    training = read(tmp_path, text).hyperparameters.training
    assert (training.batch_size, training.per_device_batch_size) == batch


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("lora: {rnk: 8}", "unknown entry 'rnk' in section 'lora'", "known: "),
        ("peft: {lora_alfa: 8}", "unknown entry 'lora_alfa' in section 'lora'", "did you mean 'lora_alpha'?"),
        ("training: {num_trian_epochs: 8}", "unknown entry 'num_trian_epochs'", "did you mean 'num_train_epochs'?"),
        ("num_epoch: 8", "unknown parameter 'num_epoch'", "did you mean"),
        ("traning_args: {epochs: 1}", "unknown section 'traning_args'", "did you mean 'training_args'?"),
        ("bf16: true", "unknown parameter 'bf16'", ""),
        ("lr: 1e-3\nlearning_rate: 1e-3", "learning_rate is given twice", ""),
        ("num_train_epochs: two", "epochs='two' is not a number", ""),
        ("gradient_accumulation_steps: 3", "without the size of a batch", "give batch_size alone"),
        ("gradient_accumulation_steps: two\nbatch_size: 1", "batch_size='two' is not a whole number", ""),
        ("micro_batch_size: 1\nper_device_train_batch_size: 1", "are given together", ""),
        ("micro_batch_size: 4\nbatch_size: 10\ngradient_accumulation_steps: 3", "is not 4 rows × 3 passes", "12"),
        ("finetuning_type: freeze", "unknown method 'freeze'", ""),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(tmp_path: Path, text: str, what: str, fix: str):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert what in caught.value.what
    assert str(tmp_path / "c.yaml") in (caught.value.where or "")
    assert fix in (caught.value.fix or "")


def test_every_spelling_means_something_and_shadows_nothing_of_ours():
    known, sections = all_parameters(FinetuneConfig), sections_of(FinetuneConfig)
    assert {*ANYWHERE.values(), *INSIDE.values()} <= set(known)
    assert not set(ANYWHERE) & set(known)
    assert set(SECTIONS.values()) | {section for section, _ in INSIDE} <= set(sections)
    assert not set(SECTIONS) & {*sections, *parameters_of(FinetuneConfig)}
    assert not {(section, key) for section, key in INSIDE if key in sections[section]}
