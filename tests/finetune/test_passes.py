"""However a step is divided into passes, loss and gradients are those of the whole batch over the answers' tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.tiny import qa_rows
from predictor.data.example import Example
from predictor.finetune.labels import IGNORED, as_dataset
from predictor.finetune.passes import PassTrainer, divide
from predictor.finetune.plan import TrainingPlan, plan_training, sft_arguments
from predictor.finetune.settings import hyperparameters
from predictor.finetune.train import train
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.device import Device
from predictor.models.render import RenderedRow, render_rows
from predictor.tasks import TASKS

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def base(tiny_base: Path) -> BaseModel:
    return load_base_model(str(tiny_base), CPU)


def uneven_rows(base: BaseModel, count: int) -> list[RenderedRow]:
    """Rows whose contexts and answers have very different lengths, so that rows and tokens weigh differently."""
    examples = [
        Example(str(i), context=" ".join([c] * (1 + i % 3)), question=q, answers=(" ".join([a] * (1 + 4 * (i % 4))),))
        for i, (c, q, a) in enumerate(qa_rows(count))
    ]
    return render_rows(examples, TASKS.get("qa"), base.tokenizer)


def wrapped(base: BaseModel, kind: str):
    from peft import LoraConfig, get_peft_model

    if kind == "full":
        return base.model.requires_grad_(True)
    saved = ["lm_head"] if kind == "lora_and_head" else None
    if saved:
        base.model.config.tie_word_embeddings = False
    model = get_peft_model(base.model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], modules_to_save=saved))
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def trainer_of(model, base: BaseModel, rows: list[RenderedRow], folder: Path, plan: TrainingPlan) -> PassTrainer:
    from trl import SFTConfig

    hp = hyperparameters(batch_size=len(rows))
    arguments = sft_arguments(hp.training, plan, CPU, seed=1, output_dir=str(folder))
    return PassTrainer(
        pass_tokens=plan.pass_tokens,
        model=model,
        args=SFTConfig(**{**arguments, "eval_strategy": "no"}),
        train_dataset=as_dataset(rows),
        processing_class=base.tokenizer,
    )


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["full", "lora", "lora_and_head"])
def test_loss_and_gradients_are_those_of_all_scores_at_once(
    base: BaseModel, tmp_path: Path, kind: str, checkpointing: bool
):
    rows = uneven_rows(base, 6)
    model = wrapped(base, kind)
    plan = TrainingPlan(6, 1, 1, 0, 1, 1, pass_tokens=100, checkpointing=checkpointing)
    trainer = trainer_of(model, base, rows, tmp_path, plan)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(6)])
    assert len(divide(batch, 100)) > 2
    learnt = [(name, p) for name, p in model.named_parameters() if p.requires_grad]

    model.train()
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False).logits
    expected = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=IGNORED
    )
    expected.backward()
    gradients = {name: p.grad.clone() for name, p in learnt}
    model.zero_grad()

    trainer.create_optimizer_and_scheduler(1)
    trainer.current_gradient_accumulation_steps = 1
    tokens = batch["labels"][:, 1:].ne(IGNORED).sum()
    loss = trainer.training_step(model, dict(batch), tokens)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for name, p in learnt:
        torch.testing.assert_close(p.grad, gradients[name], rtol=1e-4, atol=1e-6, msg=name)

    model.eval()  # an evaluation counts its batch as a whole too, and gives no number of tokens
    with torch.no_grad():
        assert trainer.compute_loss(model, dict(batch)).item() == pytest.approx(expected.item(), rel=1e-6)


def test_prompts_have_no_scores(base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from trl.trainer import utils

    rows = uneven_rows(base, 4)
    trainer = trainer_of(wrapped(base, "lora"), base, rows, tmp_path, TrainingPlan(4, 1, 1, 0, 1, 1))
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(4)])
    seen: list[int] = []
    original = utils._ChunkedLogProbFunction.apply

    def counted(hidden, *arguments):
        seen.append(len(hidden))
        return original(hidden, *arguments)

    monkeypatch.setattr(utils._ChunkedLogProbFunction, "apply", counted)
    trainer.compute_loss(trainer.model, dict(batch))
    assert seen == [sum(len(row.completion_ids) for row in rows)]


def test_a_batch_is_divided_by_tokens_with_rows_of_like_length_together():
    lengths = [3, 9, 4, 10, 2]
    mask = torch.tensor([[1] * n + [0] * (10 - n) for n in lengths])
    ids = torch.arange(5)[:, None].expand(5, 10) * mask
    parts = divide({"input_ids": ids, "labels": ids, "attention_mask": mask}, 20)
    assert [tuple(part["input_ids"].shape) for part in parts] == [(2, 10), (3, 4)]
    assert [part["input_ids"][:, 0].tolist() for part in parts] == [[3, 1], [2, 0, 4]]
    assert sum(int(part["attention_mask"].sum()) for part in parts) == sum(lengths)
    assert len(divide({"attention_mask": mask}, 6)) == 4  # a longer row goes alone
    whole = {"attention_mask": mask}
    assert divide(whole, 0) == [whole]
    assert divide(whole, 50) == [whole]
    assert divide({"position_ids": mask}, 5) == [{"position_ids": mask}]  # rows laid end to end


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_batch_of_sixteen_learns_the_same_in_whatever_passes(tiny_base: Path, method: str):
    """Without dropout, whose random numbers are drawn pass by pass."""
    import dataclasses

    more = {"lora_dropout": 0.0} if method == "lora" else {}

    def curve(pass_tokens: int = 0, **changes) -> list[dict[str, float]]:
        base = load_base_model(str(tiny_base), CPU)
        hp = hyperparameters(method=method, learning_rate=1e-2, batch_size=16, epochs=1.0, **more, **changes)
        rows = uneven_rows(base, 48)  # the last step of the epoch has eight rows
        points: list[dict[str, float]] = []
        plan = dataclasses.replace(plan_training(hp.training, 40, CPU, dev_rows=8), pass_tokens=pass_tokens)
        if "per_device_batch_size" in changes:
            assert plan.gradient_accumulation_steps == 16 // changes["per_device_batch_size"]
        train(
            base, rows[:40], hp, plan, seed=1, on_log=lambda s, v: points.append({"step": s, **v}), dev_rows=rows[40:]
        )
        return points

    whole = curve()
    assert len([point for point in whole if "train/loss" in point]) == 3
    # eval/loss is a mean over batches of as many rows as are brought to the device at once, in whatever passes.
    others = {"eval/loss"}
    for apart, passes in (
        (others, curve(per_device_batch_size=4)),
        (others, curve(per_device_batch_size=2)),
        (set(), curve(pass_tokens=200)),
        (set(), curve(pass_tokens=1)),
    ):
        for expected, found in zip(whole, passes, strict=True):
            assert found.keys() == expected.keys()
            for name in expected.keys() - apart:
                assert found[name] == pytest.approx(expected[name], abs=1e-5, rel=1e-4), name
