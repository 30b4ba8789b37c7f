"""Training a head: the loss, class weights, the best weights, passes, and going on after a break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.tiny import labelled_rows, write_encoder
from predictor.finetune.checkpoints import Checkpoints
from predictor.finetune.classes import Classes, ClassTrainer, balanced_weights
from predictor.finetune.heads import collated, few_widths
from predictor.finetune.learning import Learning
from predictor.finetune.passes import divide
from predictor.finetune.plan import plan_training
from predictor.finetune.settings import Hyperparameters, hyperparameters
from predictor.finetune.train import Tuned, train
from predictor.models.device import Device, detect
from predictor.models.head import load_classifier
from predictor.models.reading import LabelledRow, class_probabilities, read_texts

LABELS = ["name", "town"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_encoder(tmp_path_factory.mktemp("encoder")))


def rows_of(source: str, count: int, start: int = 0) -> list[LabelledRow]:
    rows = labelled_rows(count, start)
    tokenizer = load_classifier(source, detect(), LABELS, "mlp").tokenizer
    return read_texts([t for t, _ in rows], [LABELS.index(c) for _, c in rows], [t for t, _ in rows], tokenizer, 60)


def learning(metric: str | None = "accuracy", *, balanced: bool = False, seen: list | None = None) -> Classes:
    def scores(probabilities: np.ndarray) -> dict[str, float]:
        right = [LABELS.index(label) for _, label in labelled_rows(20, 100)]
        value = float(np.mean(probabilities.argmax(1) == right))
        if seen is not None:
            seen.append(value)
        return {"accuracy": value, "macro_f1": value}

    return Classes(2, balanced=balanced, scores=scores, metric=metric)


def hp_of(**values: object) -> Hyperparameters:
    return hyperparameters(**{"learning_rate": 1e-2, "batch_size": 8, "epochs": 3, **values})


def tuned(source: str, hp: Hyperparameters, how: Learning, rows=None, dev=True, pass_tokens: int = 0, **more) -> Tuned:
    import dataclasses

    base = load_classifier(source, detect(), LABELS, "mlp")
    rows = rows_of(source, 32) if rows is None else rows
    dev_rows = rows_of(source, 20, 100) if dev else []
    plan = plan_training(hp.training, len(rows), base.device, dev_rows=len(dev_rows), evaluations=6)
    plan = dataclasses.replace(plan, pass_tokens=pass_tokens)
    how_more = {"on_log": lambda step, values: None, **more}
    return train(base, rows, hp, plan, seed=1, dev_rows=dev_rows, learning=how, **how_more)


def weights(found: Tuned) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in found.model.named_parameters() if each.requires_grad}


@pytest.mark.parametrize("method", ["lora", "full"])
def test_it_learns_and_every_trained_weight_moves(encoder: str, method: str):
    seen: list[float] = []
    hp = hp_of(method=method, epochs=16, learning_rate=1e-3 if method == "full" else 5e-3)
    found = tuned(encoder, hp, learning(seen=seen), rows=rows_of(encoder, 64))
    assert max(seen) == 1.0
    assert found.tokens > 0
    first = tuned(encoder, hp_of(method=method, max_steps=1, learning_rate=1e-9), learning(None), dev=False)
    before, after = weights(first), weights(found)
    still = [name for name in before if "pooler" not in name and torch.equal(before[name], after[name])]
    assert not still


def test_passes_give_the_step_of_a_whole_batch(encoder: str, monkeypatch: pytest.MonkeyPatch):
    # Dropout of the head would draw other numbers for other passes.
    monkeypatch.setattr(torch.nn.Dropout, "forward", lambda self, input: input)
    losses: list[list[float]] = []
    for tokens in (0, 30):
        seen: list[float] = []

        def on_log(step: int, values, seen=seen) -> None:
            seen += [values["train/loss"]] if "train/loss" in values else []

        tuned(
            encoder, hp_of(max_steps=3, lora_dropout=0.0), learning(None), dev=False, pass_tokens=tokens, on_log=on_log
        )
        losses.append(seen)
    assert len(losses[0]) == 3
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_classes_weigh_as_if_all_had_as_many_rows():
    rows = [LabelledRow("", [1], label) for label in (0, 0, 0, 1)]
    assert balanced_weights(rows, 3).tolist() == pytest.approx([4 / 6, 2.0, 0.0])
    assert np.mean([balanced_weights(rows, 3)[row.label] for row in rows]) == pytest.approx(1.0)


def test_the_loss_is_the_weighted_cross_entropy_by_rows(encoder: str):
    base = load_classifier(encoder, detect(), LABELS, "linear")
    batch = collated([{"input_ids": [2, 5, 3], "labels": 0}, {"input_ids": [2, 6, 7, 3], "labels": 1}], 0, 4)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    trainer = ClassTrainer.__new__(ClassTrainer)
    trainer._weights = torch.tensor([0.5, 1.5])
    found = trainer.compute_loss(base.model, batch)
    scores = base.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    each = torch.nn.functional.cross_entropy(scores, batch["labels"], reduction="none")
    assert float(found.detach()) == pytest.approx(float((0.5 * each[0] + 1.5 * each[1]).detach()) / 2, rel=1e-5)


def test_batches_have_few_widths_and_little_padding():
    widths = range(1, 2049)
    assert all(width <= few_widths(width) <= width * 17 / 16 for width in widths)
    assert [few_widths(few_widths(width)) for width in widths] == [few_widths(width) for width in widths]
    assert len({few_widths(width) for width in widths if 256 < width <= 512}) == 16
    rows = [{"input_ids": [1] * length, "labels": 0} for length in (257, 300)]
    for longest, width in ((512, 304), (301, 301), (0, 300)):
        assert collated(rows, 0, longest)["input_ids"].shape == (2, width)
    assert collated(rows, 0, 512)["attention_mask"].sum(1).tolist() == [257, 300]
    padded = collated(rows, 0, 512)
    [first, second] = divide(padded, 310, whole=("labels",), width_of=few_widths)
    assert [first["input_ids"].shape, second["input_ids"].shape] == [(1, 304), (1, 272)]


@pytest.mark.parametrize("metric", ["accuracy", "loss", None])
def test_the_outcome_is_the_best_evaluation_or_the_last(encoder: str, metric: str | None):
    curve: list[float] = []

    def on_log(step: int, values) -> None:
        if "eval/loss" in values:
            curve.append(values["eval/loss"])

    how = learning(metric)
    found = tuned(encoder, hp_of(learning_rate=0.1, epochs=6), how, on_log=on_log)
    dev = rows_of(encoder, 20, 100)
    probabilities = class_probabilities(found.model, load_classifier(encoder, detect(), LABELS, "mlp").tokenizer, dev)
    right = probabilities[np.arange(20), [row.label for row in dev]]
    loss = float(-np.log(np.maximum(right, 1e-12)).mean())
    wanted = {"loss": min(curve), None: curve[-1]}
    if metric in wanted:
        assert loss == pytest.approx(wanted[metric], rel=1e-4)
    else:
        assert loss in [pytest.approx(value, rel=1e-4) for value in curve]


def test_a_fine_tune_that_was_cut_off_goes_on_to_the_same_bits(encoder: str, tmp_path: Path):
    hp = hp_of(epochs=2)
    whole = weights(tuned(encoder, hp, learning()))

    class Cut(Exception):
        pass

    def cut(step: int, values) -> None:
        if step == 5:
            raise Cut

    checkpoints = Checkpoints(tmp_path / "c", "an identity", every_steps=2, note=lambda text: None)
    with pytest.raises(Cut):
        tuned(encoder, hp, learning(), on_log=cut, checkpoints=checkpoints)
    assert sorted(each.name for each in (tmp_path / "c").glob("step-*")) == ["step-00000002", "step-00000004"]
    resumed = weights(tuned(encoder, hp, learning(), checkpoints=checkpoints))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("head", ["mlp", "linear"])
def test_a_head_learns_in_float32_on_a_body_in_bfloat16(encoder: str, method: str, head: str):
    device = Device("cpu", bf16=True, flash_attention=False, memory_bytes=0)
    base = load_classifier(encoder, device, LABELS, head)
    hp = hp_of(method=method, epochs=16, learning_rate=1e-3 if method == "full" else 5e-3)
    rows = rows_of(encoder, 64)
    plan = plan_training(hp.training, len(rows), device)
    found = train(base, rows, hp, plan, seed=1, on_log=lambda step, values: None, learning=learning(None))
    assert {weight.dtype for weight in found.model.parameters() if weight.requires_grad} == {torch.float32}
    said = class_probabilities(found.model, base.tokenizer, rows)
    assert float(np.mean(said.argmax(1) == [row.label for row in rows])) > 0.9
