"""What a fine-tune would do, worked out without loading anything: the 7B path is checked here."""

from __future__ import annotations

import dataclasses

import pytest

from predictor.errors import ConfigError
from predictor.finetune.memory import estimate_memory
from predictor.finetune.methods import METHODS
from predictor.finetune.methods.lora import LoraSettings, lora_arguments
from predictor.finetune.plan import plan_training, sft_arguments
from predictor.finetune.settings import Training, hyperparameters
from predictor.models.device import Device

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
GPU = Device("cuda", bf16=True, flash_attention=False, memory_bytes=80_000_000_000)


def _qwen_7b():
    from transformers import Qwen2Config

    # Qwen/Qwen2.5-7B-Instruct-1M, from its published config.json
    return Qwen2Config(
        vocab_size=152064, hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
        num_key_value_heads=4, tie_word_embeddings=False,
    )  # fmt: skip


def apply(model, hp):
    return METHODS.get(hp.method.name).apply(model, hp.method.settings)


def test_the_standard_setting_on_one_gpu():
    plan = plan_training(Training(), rows=1000, device=GPU)
    assert plan.per_device_batch_size * plan.gradient_accumulation_steps == 64
    assert plan.per_device_batch_size == 8
    assert plan.max_steps == 48  # ceil(1000 / 64) = 16 a pass, three passes
    assert plan.warmup_steps == 2


def test_max_steps_overrides_epochs_and_epochs_may_be_fractions():
    assert plan_training(Training(max_steps=7), 1000, CPU).max_steps == 7
    assert plan_training(Training(epochs=0.5), 640, CPU).max_steps == 5


def test_the_global_batch_is_shared_by_the_devices():
    plan = plan_training(Training(), rows=1000, device=GPU, processes=4)
    assert plan.per_device_batch_size * plan.gradient_accumulation_steps * 4 == 64
    with pytest.raises(ConfigError, match="cannot be shared by 3 devices"):
        plan_training(Training(), 1000, GPU, processes=3)


def test_a_device_batch_that_does_not_divide_the_global_one():
    with pytest.raises(ConfigError, match=r"per_device_batch_size=12 does not divide[\s\S]*per_device_batch_size=8"):
        plan_training(Training(per_device_batch_size=12), 1000, GPU)


def test_trl_gets_the_standard_setting_in_full():
    hp = Training()
    plan = dataclasses.replace(plan_training(hp, 1000, GPU), checkpointing=True)
    given = sft_arguments(hp, plan, GPU, seed=7, output_dir="x")
    assert given["learning_rate"] == 3e-4
    assert given["bf16"] is True
    assert given["activation_checkpointing"] is True
    assert given["seed"] == given["data_seed"] == 7
    assert given["report_to"] == "none"
    assert given["logging_nan_inf_filter"] is False
    assert given["max_length"] is None
    assert given["packing"] is False
    lora = lora_arguments(LoraSettings())
    assert lora | {"r": 8, "lora_alpha": 32, "lora_dropout": 0.1} == lora


def test_trl_keeps_every_value_that_it_is_given(tmp_path):
    from trl import SFTConfig

    hp = Training()
    given = sft_arguments(hp, plan_training(hp, 100, CPU), CPU, seed=1, output_dir=str(tmp_path))
    config = SFTConfig(**given)
    for name in (
        "learning_rate",
        "bf16",
        "max_steps",
        "warmup_steps",
        "packing",
        "max_length",
        "train_sampling_strategy",
    ):
        assert getattr(config, name) == given[name], name
    assert config.gradient_checkpointing is False
    assert config.report_to == []


def test_no_bf16_and_no_checkpointing_on_a_cpu_where_memory_does_not_ask_for_it():
    hp = Training()
    given = sft_arguments(hp, plan_training(hp, 100, CPU), CPU, seed=1, output_dir="x")
    assert given["bf16"] is False
    assert given["use_cpu"] is True
    assert given["activation_checkpointing"] is False


def test_target_modules_may_be_a_list():
    assert lora_arguments(LoraSettings(target_modules="q_proj, v_proj"))["target_modules"] == ["q_proj", "v_proj"]


def test_lora_of_the_7b_model_has_its_known_number_of_weights():
    estimate = estimate_memory(_qwen_7b(), hyperparameters(), tokens=8 * 1024, dtype_bytes=2, checkpointing=True)
    assert estimate.trained_parameters == 20_185_088
    assert estimate.weights_mb == pytest.approx(15_231, rel=0.01)  # 7.6 billion weights of two bytes


def test_lora_estimate_counts_what_peft_makes(tiny_base):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    hp = hyperparameters(lora_r=4)
    estimate = estimate_memory(model.config, hp, tokens=8, dtype_bytes=4, checkpointing=False)
    assert apply(model, hp).get_nb_trainable_parameters()[0] == estimate.trained_parameters


def test_full_estimate_counts_what_is_trained(tiny_base):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_base)
    hp = hyperparameters(method="full")
    estimate = estimate_memory(model.config, hp, tokens=8, dtype_bytes=4, checkpointing=False)
    trained = sum(p.numel() for p in apply(model, hp).parameters() if p.requires_grad and p.ndim == 2)
    assert estimate.trained_parameters == trained


def kept_bytes(model, length: int, **more: object) -> int:
    """What autograd keeps of two rows for the backward pass, beside the weights."""
    import torch

    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _graph = model(input_ids=torch.ones(2, length, dtype=torch.long), **more).logits
        return sum(storage.nbytes() for storage in storages.values())


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("dtype_bytes", [2, 4])
def test_activation_estimate_is_what_autograd_keeps(dropout: float, dtype_bytes: int):
    import contextlib

    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from predictor.finetune.memory import layer_bytes

    hp, dtype = hyperparameters(lora_dropout=dropout), torch.bfloat16 if dtype_bytes == 2 else torch.float32

    def kept(layers: int) -> int:
        # Qwen2.5-7B's proportions: one key-value head, an MLP 5.3 times as wide.
        config = Qwen2Config(
            vocab_size=64, hidden_size=128, intermediate_size=676, num_hidden_layers=layers, num_attention_heads=4,
            num_key_value_heads=1,
        )  # fmt: skip
        model = apply(Qwen2ForCausalLM(config).to(dtype), hp).train()
        mixed = torch.autocast("cpu", dtype=torch.bfloat16) if dtype_bytes == 2 else contextlib.nullcontext()
        with mixed:
            return kept_bytes(model, 32, use_cache=False, logits_to_keep=1)

    measured = (kept(3) - kept(1)) / 2 / 64  # bytes for each token of one layer
    config = Qwen2Config(hidden_size=128, intermediate_size=676, num_attention_heads=4, num_key_value_heads=1)
    assert layer_bytes(config, hp, dtype_bytes) == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize("dropped", [0.0, 0.1])
def test_attention_that_is_dropped_on_a_cpu_is_written_out(dropped: float):
    from transformers import BertConfig, BertForSequenceClassification

    from predictor.finetune.memory import layer_bytes

    def config(layers: int) -> BertConfig:
        return BertConfig(
            vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=8,
            attention_probs_dropout_prob=dropped,
        )  # fmt: skip

    def kept(layers: int, length: int) -> float:
        return kept_bytes(BertForSequenceClassification(config(layers)).train(), length)

    def of_a_token(length: int) -> float:
        return (kept(3, length) - kept(1, length)) / 2 / (2 * length)

    grown = of_a_token(96) - of_a_token(32)
    hp = hyperparameters(method="full")
    told = layer_bytes(config(1), hp, 4, 96) - layer_bytes(config(1), hp, 4, 32)
    assert told == pytest.approx(grown, rel=0.05, abs=1)
    assert (told > 0) == (dropped > 0)
    assert layer_bytes(config(1), hp, 4, 96) >= of_a_token(96)


def test_many_epochs_are_looked_at_early_and_few_are_not():
    def points(**values: object) -> tuple[int, ...]:
        return plan_training(Training(**{"batch_size": 16, **values}), 32, CPU, dev_rows=8).early_points

    assert points(epochs=60.0) == (2, 4, 8, 16)
    assert points(epochs=3.0) == ()
    assert points(epochs=60.0, early_stopping_patience=2) == ()
