"""Products in bfloat16 on a CPU: what they change, and what they leave."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from predictor.errors import ConfigError
from predictor.models.base_model import load_base_model
from predictor.models.device import Device
from predictor.models.products import PRODUCTS, ReducedLinear, native, reduce_products

PLAIN = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)


@pytest.fixture
def model() -> torch.nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    sizes = {"hidden_size": 384, "intermediate_size": 512, "num_hidden_layers": 2, "vocab_size": 500}
    return LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, tie_word_embeddings=False)).eval()


def test_the_body_is_reduced_and_the_scores_are_not(model: torch.nn.Module):
    assert reduce_products(model) == 14
    assert type(model.lm_head) is torch.nn.Linear
    assert reduce_products(model) == 0  # and once is enough


def test_many_tokens_are_rounded_and_a_single_one_is_not(model: torch.nn.Module):
    layer = model.model.layers[0].mlp.up_proj
    many, one = torch.randn(2, 40, 384), torch.randn(64, 1, 384)
    exact, alone = layer(many), layer(one)
    reduce_products(model)
    rounded = layer(many)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert (rounded - exact).norm().item() < 0.005 * exact.norm().item()
    assert torch.equal(layer(one), alone)
    # What a row gets does not depend on what shares its batch.
    assert torch.equal(layer(many[:1]), rounded[:1])


@pytest.mark.parametrize("frozen", [True, False])
def test_gradients_are_those_of_float32_but_for_rounding(model: torch.nn.Module, frozen: bool):
    ids = torch.arange(80).view(2, 40)
    embeddings = model.get_input_embeddings().weight
    found = []
    for reduced in (False, True):
        if reduced:
            reduce_products(model)
        model.zero_grad(set_to_none=True)
        for name, weight in model.named_parameters():
            weight.requires_grad_(not frozen or "embed" in name)
        model(input_ids=ids, labels=ids).loss.backward()
        down = model.model.layers[1].mlp.down_proj.weight.grad
        assert (down is None) == frozen
        found.append([grad for grad in (embeddings.grad, down) if grad is not None])
    for exact, rounded in zip(*found, strict=True):
        assert rounded.dtype == torch.float32
        assert 0 < (rounded - exact).norm().item() < 0.02 * exact.norm().item()


def test_a_bias_is_added_in_float32():
    layer = torch.nn.Linear(384, 384)
    with torch.no_grad():
        layer.bias.fill_(1.0001)
    layer.__class__ = ReducedLinear
    assert torch.equal(layer(torch.zeros(20, 384)), layer.bias.expand(20, 384))


def test_adapters_stand_beside_reduced_matrices_and_merge_into_them(model: torch.nn.Module):
    from peft import LoraConfig, get_peft_model

    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    reduce_products(model)
    adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False))
    ids = torch.arange(40)[None]
    with torch.inference_mode():
        before = adapted(input_ids=ids).logits
        merged = adapted.merge_and_unload()
        after = merged(input_ids=ids).logits
    torch.testing.assert_close(before, after, atol=0.05, rtol=0.05)
    assert merged.state_dict().keys() == weights.keys()
    assert torch.equal(
        merged.state_dict()["model.layers.0.mlp.up_proj.weight"], weights["model.layers.0.mlp.up_proj.weight"]
    )


def test_a_device_that_does_not_say_so_loads_a_model_as_ever(model: torch.nn.Module, tiny_base: Path, tmp_path: Path):
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    reduced = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0, bf16_products=True)
    kinds = [
        {type(module) for module in load_base_model(str(tmp_path), device).model.modules()}
        for device in (PLAIN, reduced)
    ]
    assert [ReducedLinear in each for each in kinds] == [False, True]


def test_the_embedded_lab_keeps_its_bits():
    from predictor.trial.sources import base_source

    device = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0, bf16_products=True)
    model = load_base_model(base_source("lab"), device).model
    assert not any(isinstance(module, ReducedLinear) for module in model.modules())


def test_the_processor_and_the_environment_decide(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(PRODUCTS, raising=False)
    for capabilities, expected in (({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert native() is expected
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setenv(PRODUCTS, "float32")
    assert native() is False


def test_an_unknown_type_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PRODUCTS, "half")
    with pytest.raises(ConfigError) as error:
        native()
    assert "PREDICTOR_CPU_PRODUCTS='half' is neither auto nor float32" in str(error.value)
