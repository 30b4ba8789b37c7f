"""What two models say of the same tokens, by ways that must agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tiny import qa_rows
from predictor.evaluation.likelihood import beside, byte_probability, bytes_of, repeat_noise, text_sequels
from predictor.evaluation.pair import Pair
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.device import detect
from predictor.probe.scoring import sequel_losses

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> BaseModel:
    return load_base_model(str(tiny_base), detect())


@pytest.fixture(scope="module")
def pair(base: BaseModel) -> Pair:
    """A base, and the same with an adapter that says something else."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    tuned = get_peft_model(base.model, LoraConfig(task_type="CAUSAL_LM", r=4, init_lora_weights=False))
    return Pair(base, tuned)


def test_base_and_tuned_are_what_each_says_alone(pair: Pair):
    tokenizer = pair.base.tokenizer
    sequels = [s for s in text_sequels(tokenizer, [c for c, _, _ in qa_rows(9)], 64) if s is not None]
    found = beside(pair, sequels, batch_tokens=50)
    with pair.untuned() as model:
        base = sequel_losses(model, sequels, pad_id=0)
    tuned = sequel_losses(pair.tuned, sequels, pad_id=0)
    for each, (a, _), (b, _) in zip(found, base, tuned, strict=True):
        np.testing.assert_allclose(each.base, a, atol=1e-5)
        np.testing.assert_allclose(each.tuned, b, atol=1e-5)
    assert min(each.divergence.min() for each in found) >= 0
    assert np.concatenate([each.divergence for each in found]).mean() > 1e-3
    assert repeat_noise(pair, sequels, found) < 1e-5


def test_bytes_of_texts(pair: Pair):
    [sequel, nothing] = text_sequels(pair.base.tokenizer, ["Ada lives in Rome.", ""], 64)
    assert sequel is not None
    assert nothing is None
    first = pair.base.tokenizer.decode(list(sequel.ids)[:1])
    assert bytes_of(pair.base.tokenizer, sequel) == len("Ada lives in Rome.") - len(first)
    assert byte_probability(np.array([0.0, 1.0])).tolist() == [1.0, 0.5]
