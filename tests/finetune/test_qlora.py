"""LoRA beside a base in 4 or 8 bits."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.tiny import qa_rows
from predictor.data.example import Example
from predictor.errors import ConfigError, ModelError
from predictor.finetune.memory import estimate_memory
from predictor.finetune.methods import METHODS, quantization_of
from predictor.finetune.plan import plan_training
from predictor.finetune.settings import Hyperparameters, hyperparameters
from predictor.finetune.train import train
from predictor.lab import base_model_path
from predictor.models import shelf
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.device import Device
from predictor.models.generate import generate
from predictor.models.quantization import KINDS, Quantization, dequantized
from predictor.models.render import render_prompts, render_rows
from predictor.schema import run_title
from predictor.tasks import TASKS
from predictor.trial.config import finetune_config

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
QA = TASKS.get("qa")
ROWS = [Example(str(i), context=c, question=q, answers=(a,)) for i, (c, q, a) in enumerate(qa_rows(16))]


def hp_of(kind: str, **more: Any) -> Hyperparameters:
    usual = {"learning_rate": 1e-2, "batch_size": 8, "epochs": 3.0}
    return hyperparameters(method="qlora", quantization=kind, **{**usual, **more})


def tune(base: BaseModel, hp: Hyperparameters) -> tuple[Any, list[float]]:
    losses: list[float] = []
    rows = render_rows(ROWS, QA, base.tokenizer)
    plan = plan_training(hp.training, len(rows), CPU)
    tuned = train(base, rows, hp, plan, seed=1, on_log=lambda step, values: losses.append(values["train/loss"]))
    return tuned.model, losses


def logits(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_adapter_learns_and_the_base_is_found_again_as_it_was(kind: str):
    shelf.forget()
    quantization = quantization_of("qlora", hp_of(kind).method.settings)
    assert quantization == Quantization(kind, double=True)
    loan = shelf.borrow(str(base_model_path()), CPU, quantization)
    base = loan.base
    prompt = render_prompts(ROWS[:1], QA, base.tokenizer)[0]
    before = logits(base.model, prompt)  # at rest, before the training: it must not spoil it
    model, losses = tune(base, hp_of(kind))
    assert losses[-1] < losses[0]
    kinds = {type(module).__name__ for module in model.modules()}
    assert kinds & {"Linear4bit", "Linear8bitLt"}
    for name, p in model.named_parameters():
        assert p.requires_grad == ("lora_" in name)
        if p.requires_grad:
            assert p.dtype == torch.float32
            assert p.abs().sum() > 0, f"{name} has not moved"
    loan.give_back(model)
    again = shelf.borrow(str(base_model_path()), CPU, quantization)
    assert not again.fresh
    assert torch.equal(logits(again.base.model, prompt), before)
    again.give_back()
    assert shelf.borrow(str(base_model_path()), CPU).fresh, "a base in its own type is another one"
    shelf.forget()


@pytest.mark.parametrize("kind", KINDS)
def test_answers_do_not_depend_on_the_batch_and_the_numbers_behind_the_bits_say_the_same(kind: str):
    base = load_base_model(str(base_model_path()), CPU, Quantization(kind))
    prompts = render_prompts(ROWS, QA, base.tokenizer)
    alone = generate(base.model, base.tokenizer, prompts, max_new_tokens=6, batch_rows=1)
    assert generate(base.model, base.tokenizer, prompts, max_new_tokens=6) == alone
    said = logits(base.model, prompts[0])
    whole = dequantized(base.model)
    assert {p.dtype for p in whole.parameters()} == {torch.float32}
    assert (logits(whole, prompts[0]) - said).abs().max() < 1e-4


def test_fewer_bits_take_less_memory_and_the_estimate_says_so():
    from transformers import LlamaConfig

    config = LlamaConfig(
        hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, vocab_size=32000
    )
    sizes = {"tokens": 512, "dtype_bytes": 2, "checkpointing": True}
    lora = estimate_memory(config, hyperparameters(), **sizes)
    four = estimate_memory(config, hp_of("nf4"), **sizes)
    single = estimate_memory(config, hp_of("nf4", double_quantization=False), **sizes)
    eight = estimate_memory(config, hp_of("int8"), **sizes)
    assert four.weights_mb < single.weights_mb < eight.weights_mb < lora.weights_mb
    # 6.48 billion weights in layers, 0.26 billion outside.
    assert four.weights_mb == pytest.approx(6476 * 0.5159 + 262 * 2, rel=0.01)
    assert four.trained_parameters == lora.trained_parameters


def test_the_bits_in_memory_are_those_of_the_estimate():
    base = load_base_model(str(base_model_path()), CPU, Quantization("nf4"))
    taken = sum(p.nbytes for p in base.model.parameters() if p.dtype == torch.uint8)
    weights = sum(
        module.in_features * module.out_features
        for module in base.model.modules()
        if type(module).__name__ == "Linear4bit"
    )
    assert taken == weights / 2


def test_lora_and_full_ask_for_no_quantisation_and_keep_their_parameters():
    assert quantization_of("lora", METHODS.get("lora").settings()) is None
    assert quantization_of("full", METHODS.get("full").settings()) is None
    assert "quantization" not in finetune_config().values()
    config = finetune_config(method="qlora", lora_r=4, quantization="fp4")
    assert config.values()["double_quantization"] is True
    assert config.title.endswith("fp4 r4 lr0.0003 s1")
    assert run_title("d", "lora", {"lora_r": 8, "learning_rate": 1e-3}, 1) == "d r8 lr0.001 s1"


def test_what_no_method_reads_is_refused():
    with pytest.raises(ConfigError, match=r"quantization is not read by method=lora[\s\S]*method=qlora"):
        finetune_config(quantization="nf4")
    with pytest.raises(ConfigError, match=r"quantization='nf5' is unknown[\s\S]*nf4"):
        finetune_config(method="qlora", quantization="nf5")


def test_without_the_package_there_is_one_clear_message(tiny_base: Path, monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "bitsandbytes":
            raise ModuleNotFoundError("No module named 'bitsandbytes'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModelError, match=r"needs the package bitsandbytes[\s\S]*pip install bitsandbytes==0.50.2"):
        load_base_model(str(tiny_base), CPU, Quantization("nf4"))


def test_a_library_that_cannot_serve_is_said(tiny_base: Path, monkeypatch: pytest.MonkeyPatch):
    import bitsandbytes

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("no kernel image is available\nmore")

    monkeypatch.setattr(bitsandbytes.functional, "quantize_4bit", broken)
    with pytest.raises(ModelError, match=r"cannot serve quantization=nf4 here: no kernel image[\s\S]*method=lora"):
        load_base_model(str(tiny_base), CPU, Quantization("nf4"))
