"""A fine-tune that goes on from the adapter of another, in an order of rows that is chosen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch

from benchmarks.tiny import qa_rows
from predictor.data.example import Example
from predictor.errors import ConfigError, ModelError
from predictor.finetune.methods import METHODS
from predictor.finetune.order import presented_rows
from predictor.finetune.passes import PassTrainer
from predictor.finetune.plan import plan_training
from predictor.finetune.settings import hyperparameters
from predictor.finetune.start import OPTIMIZER, Start, save_optimizer
from predictor.finetune.train import train
from predictor.models.base_model import load_base_model
from predictor.models.render import render_rows
from tests.finetune.scene import CPU, QA

pytestmark = pytest.mark.usefixtures("one_thread")
HP = hyperparameters(learning_rate=1e-2, batch_size=4, epochs=1.0, lora_dropout=0.0, warmup_ratio=0.0)


def tune(folder: Path, start: Start, hp=HP, order=(), rows=8, keep_in: Path | None = None):
    base = load_base_model(str(folder), CPU)
    examples = [Example(str(i), context=c, question=q, answers=(a,)) for i, (c, q, a) in enumerate(qa_rows(rows))]
    rendered = render_rows(examples, QA, base.tokenizer)
    losses: list[float] = []
    plan = plan_training(hp.training, rows, CPU, presented=len(order))
    tuned = train(
        base, rendered, hp, plan, seed=1, start=start, order=order,
        on_log=lambda step, values: losses.append(values["train/loss"]) if "train/loss" in values else None,
    )  # fmt: skip
    if keep_in is not None:
        METHODS.get("lora").save(tuned.model, base.tokenizer, keep_in)
        save_optimizer(keep_in, tuned.optimizer)
    return tuned, losses


def _weights(model) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


@pytest.fixture(scope="module")
def first(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("first")
    tuned, losses = tune(tiny_base, Start(keep_optimizer=True), keep_in=folder)
    return folder, _weights(tuned.model), losses


def test_it_begins_with_the_very_weights_and_on_request_with_the_optimizer(tiny_base: Path, first):
    folder, weights, losses = first
    base = load_base_model(str(tiny_base), CPU)
    begun = _weights(Start(str(folder)).apply(base.model, HP))
    assert all(torch.equal(begun[name], weights[name]) for name in weights)
    (fresh, after), (kept, after_kept) = (tune(tiny_base, Start(str(folder), keep)) for keep in (False, True))
    assert after[0] == after_kept[0] < losses[0]  # the first loss is that of the same weights
    assert any(not torch.equal(_weights(fresh.model)[n], _weights(kept.model)[n]) for n in weights)
    assert fresh.optimizer is None
    assert int(kept.optimizer["0/step"]) == 4  # two steps before, two now
    assert Start(str(folder)).digest() != Start(str(folder), True).digest() != ""


def test_a_look_at_the_begun_model_leaves_the_base_as_it_was(tiny_base: Path, first):
    base = load_base_model(str(tiny_base), CPU)
    names = [name for name, _ in base.model.named_parameters()]
    ids = torch.tensor([[5, 6, 7]])
    before = base.model(ids).logits
    with Start(str(first[0])).on(base.model, HP) as model:
        assert not torch.equal(model(ids).logits, before)
    assert [name for name, _ in base.model.named_parameters()] == names
    assert torch.equal(base.model(ids).logits, before)
    with Start().on(base.model, HP) as model:
        assert model is base.model


def test_what_does_not_fit_is_told(tiny_base: Path, first, tmp_path: Path):
    base = load_base_model(str(tiny_base), CPU)
    with pytest.raises(ConfigError, match="the adapter does not fit"):
        Start(str(first[0])).apply(base.model, hyperparameters(lora_r=4))
    with pytest.raises(ConfigError, match="method=full cannot go on from an adapter"):
        Start(str(first[0])).apply(base.model, hyperparameters(method="full"))
    with pytest.raises(ModelError, match="the folder holds no adapter"):
        Start(str(tmp_path)).digest()
    (tmp_path / OPTIMIZER).write_bytes((first[0] / OPTIMIZER).read_bytes())
    with pytest.raises(ModelError, match="the optimizer's state is of other weights"):
        Start(str(tmp_path), True).put_optimizer(torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))]))


def test_the_order_is_that_of_the_batches_that_the_model_sees(tiny_base: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[tuple[int, ...]] = []
    usual = PassTrainer.training_step

    def watched(self, model, inputs, num_items_in_batch=None):
        seen.extend(
            tuple(row[mask.bool()].tolist())
            for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
        )
        return usual(self, model, inputs, num_items_in_batch)

    monkeypatch.setattr(PassTrainer, "training_step", watched)
    order = [7, 0, 6, 1, 5, 2, 4, 3, 0, 7]
    tuned, _ = tune(tiny_base, Start(), order=order)
    base = load_base_model(str(tiny_base), CPU)
    rows = render_rows(
        [Example(str(i), context=c, question=q, answers=(a,)) for i, (c, q, a) in enumerate(qa_rows(8))],
        QA, base.tokenizer,
    )  # fmt: skip
    assert seen == [tuple(rows[place].prompt_ids + rows[place].completion_ids) for place in order]
    assert tuned.steps == 3


def test_every_epoch_has_each_row_once_and_batches_of_one_task_are_that():
    tasks = ["a"] * 7 + ["b"] * 6
    drawn = presented_rows(tasks, "random", 2.0, 4, seed=1)
    assert all(sorted(epoch) == list(range(13)) for epoch in (drawn[:13], drawn[13:]))
    assert drawn[:13] != drawn[13:]
    assert drawn != presented_rows(tasks, "random", 2.0, 4, seed=2)
    assert presented_rows(tasks, "as_given", 1.5, 4, seed=1) == [*range(13), *range(7)]
    assert presented_rows(tasks, "lengths", 2.0, 4, seed=1) == []
    by_task = presented_rows(tasks, "by_task", 2.0, 4, seed=1)
    assert Counter(by_task) == Counter(drawn)
    batches = [{tasks[row] for row in by_task[start : start + 4]} for start in range(0, 24, 4)]
    assert all(len(batch) == 1 for batch in batches)  # of 14 and 12 rows, six batches are whole and two rows are left
