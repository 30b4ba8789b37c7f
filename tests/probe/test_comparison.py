"""A model beside its untouched base, against direct computation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from predictor.probe import answer_sequels, comparison, text_sequels
from predictor.probe.comparison import FirstLook, SecondLook, Sequel, look_again, look_first
from predictor.probe.forward import token_losses
from tests.probe.builders import Rendered, Tokenizer, tiny_model

SEQUELS = [Sequel([5, 6, 7, 8, 9, 10], 2), Sequel([5, 6, 11, 12, 13], 3), Sequel([*range(3, 30), 40], 1)]
TOKENIZER = Tokenizer()


def adapted(strength: float = 0.3) -> Any:
    """The tiny model with LoRA matrices that have been moved."""
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        tiny_model(), LoraConfig(r=2, lora_dropout=0.5, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(strength * torch.randn(parameter.shape, generator=generator))
    return model.train()


def by_hand(base: Any, model: Any) -> Iterator[tuple[list[float], list[float], list[float]]]:
    """For each of SEQUELS, one at a time: losses of the base, of the model, and KL(base ‖ model), token by token."""
    for sequel in SEQUELS:
        ids = torch.tensor([sequel.ids])
        with torch.no_grad():
            p, q = (each.eval()(ids).logits[0, -1 - sequel.count : -1].log_softmax(-1) for each in (base, model))
        expected = ids[0, -sequel.count :, None]
        kl = (p.exp() * (p - q)).sum(-1)
        yield (-p.gather(1, expected)[:, 0]).tolist(), (-q.gather(1, expected)[:, 0]).tolist(), kl.tolist()


def check(first: FirstLook, again: SecondLook, base: Any, model: Any, stride: int = 1, tolerance: float = 1e-5) -> None:
    base_losses, losses, apart = ([x for row in part for x in row] for part in zip(*by_hand(base, model), strict=True))
    assert first.loss == pytest.approx(np.mean(base_losses), abs=1e-5)
    assert np.concatenate(again.losses) == pytest.approx(losses, abs=1e-5)
    assert [len(row) for row in again.hits] == [sequel.count for sequel in SEQUELS]
    assert again.divergence == pytest.approx(np.mean(apart[::stride]), abs=tolerance)
    assert again.divergence > 0.01


@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_a_model_with_an_adapter_is_compared_with_itself_without_it(batch_tokens: int) -> None:
    first = look_first(adapted(strength=0.0), TOKENIZER, SEQUELS, batch_tokens=batch_tokens)
    assert first.log_probabilities is None
    model = adapted()
    again = look_again(model, TOKENIZER, SEQUELS, first, batch_tokens=batch_tokens)
    assert model.training
    check(first, again, tiny_model(), model)
    hits = [hit[-sequel.count :] for (_, hit), sequel in zip(whole(model), SEQUELS, strict=True)]
    assert [row.tolist() for row in again.hits] == [row.tolist() for row in hits]


def whole(model: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Losses and hits of every token of SEQUELS."""
    return token_losses(model, [sequel.ids for sequel in SEQUELS], pad_id=0)


def test_an_adapter_may_put_tokens_of_its_own_before_the_first() -> None:
    from peft import PromptTuningConfig, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(tiny_model(), PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"))
    first = look_first(model.get_base_model(), TOKENIZER, SEQUELS)
    assert first.log_probabilities is not None
    again = look_again(model, TOKENIZER, SEQUELS, FirstLook(first.loss))
    check(first, again, tiny_model(), model)


def test_only_the_scores_that_are_looked_at_are_made() -> None:
    model = adapted()
    made: list[int] = []
    model.get_base_model().lm_head.register_forward_hook(lambda module, inputs, output: made.append(output.shape[1]))
    look_again(model, TOKENIZER, SEQUELS, look_first(model, TOKENIZER, SEQUELS))
    assert made == [6, 6, 6], "the three answers have six tokens"


def test_a_fresh_adapter_says_what_its_base_says() -> None:
    model = adapted(strength=0.0)
    first = look_first(model, TOKENIZER, SEQUELS)
    again = look_again(model, TOKENIZER, SEQUELS, first)
    assert again.divergence == 0.0
    assert first.loss == np.concatenate(again.losses).mean()


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_of_a_base_that_training_overwrites_its_words_are_kept(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "KEPT_VALUES", -(-6 * 64 // stride))
    model = tiny_model()
    first = look_first(model, TOKENIZER, SEQUELS, batch_tokens=12)
    assert first.log_probabilities is not None
    assert (first.stride, first.log_probabilities.shape) == (stride, (-(-6 // stride), 64))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.ones_like(parameter).cumsum(-1).sin())
    again = look_again(model, TOKENIZER, SEQUELS, first, batch_tokens=1)
    check(first, again, tiny_model(), model, stride, tolerance=1e-3)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("batch_tokens", [1, 4096])
def test_the_gradient_is_that_of_the_mean_loss_and_leaves_no_trace(recompute: bool, batch_tokens: int) -> None:
    model = adapted()
    learns = [parameter for parameter in model.parameters() if parameter.requires_grad]
    total = torch.zeros(())
    model.eval()
    for sequel in SEQUELS:
        ids = torch.tensor([sequel.ids])
        scores = model(ids).logits[0, -1 - sequel.count : -1]
        total = total + torch.nn.functional.cross_entropy(scores, ids[0, -sequel.count :], reduction="sum")
    expected = torch.autograd.grad(total / 6, learns)
    model.train()
    if recompute:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable()
    learns[0].grad = torch.full_like(learns[0], 7.0)
    found: list[torch.Tensor] = []
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = look_first(
        model,
        TOKENIZER,
        SEQUELS,
        batch_tokens=batch_tokens,
        on_gradient=lambda: found.extend(parameter.grad.clone() for parameter in learns),
    )
    look_again(model, TOKENIZER, SEQUELS, first)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    assert torch.equal(learns[0].grad, torch.full_like(learns[0], 7.0))
    assert all(parameter.grad is None for parameter in learns[1:])
    assert [parameter for parameter in model.parameters() if parameter.requires_grad] == learns
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), before)


def test_activations_are_recomputed_where_the_training_recomputes_them() -> None:
    model = adapted()
    model.enable_input_require_grads()
    model.gradient_checkpointing_enable()
    recomputed: list[object] = []
    for module in model.modules():
        if getattr(module, "gradient_checkpointing", False) and hasattr(module, "_gradient_checkpointing_func"):
            plain = module._gradient_checkpointing_func
            module._gradient_checkpointing_func = lambda *a, f=plain, **k: recomputed.append(1) or f(*a, **k)
    look_first(model, TOKENIZER, SEQUELS)
    assert not recomputed
    look_first(model, TOKENIZER, SEQUELS, on_gradient=lambda: None)
    assert recomputed


def test_of_whole_texts_the_loss_is_that_of_all_their_tokens_to_the_bit() -> None:
    model, texts = adapted(), text_sequels(TOKENIZER)
    expected = np.concatenate([nll for nll, _ in token_losses(model, [text.ids for text in texts], pad_id=0)]).mean()
    first = look_first(model, TOKENIZER, texts)
    assert first.loss == expected
    assert np.concatenate(look_again(model, TOKENIZER, texts, first).losses).mean() == expected


def test_what_cannot_be_looked_at_is_left_out() -> None:
    assert np.isnan(look_first(tiny_model(), TOKENIZER, []).loss)
    rows = [Rendered([5], []), Rendered([], [9]), Rendered([5, 6], [7])]
    assert answer_sequels(rows) == [Sequel([5, 6, 7], 1)]
    assert text_sequels(TOKENIZER, ["x", "ab"]) == [Sequel(TOKENIZER("ab")["input_ids"], 1)]
    for count in (0, 2):
        with pytest.raises(ValueError, match=f"{count} of 2 tokens cannot be looked at"):
            Sequel([1, 2], count)
