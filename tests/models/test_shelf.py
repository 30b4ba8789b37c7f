"""A base model is loaded once in a process, and every fine-tune finds it as it was loaded."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.tiny import qa_rows, write_base
from predictor.data.example import Example
from predictor.finetune.plan import plan_training
from predictor.finetune.settings import hyperparameters
from predictor.finetune.train import train
from predictor.models import shelf
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.device import Device
from predictor.models.render import render_rows
from predictor.models.shelf import Loan, borrow
from predictor.tasks import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
ROWS = [Example(str(i), context=c, question=q, answers=(a,)) for i, (c, q, a) in enumerate(qa_rows(16))]


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    shelf.forget()
    yield
    shelf.forget()


class Cut(Exception):
    pass


def tune(loan: Loan, method: str, *, cut: bool = False) -> Any:
    def on_log(step: int, values: Any) -> None:
        if cut:
            raise Cut

    base = loan.base
    hp = hyperparameters(method=method, learning_rate=1e-2, batch_size=8, epochs=1.0)
    rows = render_rows(ROWS, TASKS.get("qa"), base.tokenizer)
    return train(base, rows, hp, plan_training(hp.training, len(rows), CPU), seed=1, on_log=on_log).model


def state(base: BaseModel) -> dict[str, Any]:
    """All that a fine-tune could leave behind, with the bits of the weights."""
    model, tokenizer = base.model, base.tokenizer
    return {
        "weights": {name: (p.detach().numpy().tobytes(), p.requires_grad) for name, p in model.named_parameters()},
        "modules": [
            (name, type(module), sorted(vars(module)), module.training) for name, module in model.named_modules()
        ],
        "hooks": [
            len(held)
            for module in model.modules()
            for key, held in vars(module).items()
            if "hooks" in key and isinstance(held, dict)
        ],
        "config": copy.deepcopy(model.config.to_dict()),
        "generation": copy.deepcopy(model.generation_config.to_dict()),
        "tokenizer": (
            len(tokenizer),
            tokenizer.padding_side,
            dict(tokenizer.special_tokens_map),
            tokenizer.chat_template,
        ),
    }


@pytest.mark.parametrize("method", ["lora", "full"])
def test_after_each_method_the_next_one_finds_the_base_as_it_was_loaded(tiny_base: Path, method: str):
    fresh = state(load_base_model(str(tiny_base), CPU))
    loan = borrow(str(tiny_base), CPU)
    assert loan.fresh
    loan.give_back(tune(loan, method))
    again = borrow(str(tiny_base), CPU)
    assert state(again.base) == fresh
    assert again.fresh == (method == "full"), "weights that were trained in place are loaded again"
    assert (again.base is loan.base) == (method == "lora")


def test_a_fine_tune_that_is_cut_off_leaves_nothing_behind(tiny_base: Path):
    fresh = state(load_base_model(str(tiny_base), CPU))
    for method in ("lora", "full"):
        loan = borrow(str(tiny_base), CPU)
        with pytest.raises(Cut):
            tune(loan, method, cut=True)
        loan.give_back()
        assert state(borrow(str(tiny_base), CPU).base) == fresh


def test_a_weight_that_changed_anywhere_is_not_lent_again(tiny_base: Path):
    loan = borrow(str(tiny_base), CPU)
    with torch.no_grad():
        loan.base.model.model.norm.weight[3] += 1e-3
    loan.give_back()
    assert borrow(str(tiny_base), CPU).fresh


def test_hooks_and_settings_of_a_user_go_with_the_user(tiny_base: Path):
    fresh = state(load_base_model(str(tiny_base), CPU))
    loan = borrow(str(tiny_base), CPU)
    loan.base.model.enable_input_require_grads()
    loan.base.model.gradient_checkpointing_enable()
    loan.base.model.train()
    loan.base.model.generation_config.eos_token_id = 7
    loan.base.tokenizer.padding_side = "right"
    loan.base.tokenizer.chat_template = "{{ messages }}"
    loan.give_back()
    again = borrow(str(tiny_base), CPU)
    assert not again.fresh
    assert state(again.base) == fresh


def test_two_users_at_once_have_a_base_each(tiny_base: Path):
    one, other = borrow(str(tiny_base), CPU), borrow(str(tiny_base), CPU)
    assert other.fresh
    assert one.base is not other.base


def test_one_base_is_kept_and_only_as_long_as_its_files_are_the_same(tiny_base: Path, tmp_path: Path):
    folder = str(shutil.copytree(tiny_base, tmp_path / "base"))
    borrow(folder, CPU).give_back()
    kept = borrow(folder, CPU)
    assert not kept.fresh
    kept.give_back()
    other = borrow(str(tiny_base), CPU)
    assert other.fresh
    assert not shelf._SHELF, "the other one was let go before"
    other.give_back()
    assert len(shelf._SHELF) == 1
    borrow(folder, CPU).give_back()
    write_base(Path(folder), hidden=48)
    assert borrow(folder, CPU).base.model.config.hidden_size == 48
