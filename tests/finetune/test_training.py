"""Real fine-tunes of a tiny model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from benchmarks.tiny import qa_rows
from predictor.data.example import Example
from predictor.errors import ConfigError, DataError, ModelError, TrainingError
from predictor.finetune.labels import IGNORED, as_dataset
from predictor.finetune.methods import METHODS
from predictor.finetune.plan import plan_training
from predictor.finetune.settings import Hyperparameters, hyperparameters
from predictor.finetune.train import Tuned, train
from predictor.models.base_model import BaseModel, load_base_model, load_tokenizer, weights_digest
from predictor.models.device import Device
from predictor.models.generate import generate
from predictor.models.render import RenderedRow, render_prompts, render_rows, within_length
from predictor.tasks import TASKS

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
LIKE_A_GPU = Device("cpu", bf16=True, flash_attention=False, memory_bytes=0)
"""Weights in bfloat16 and autocast, which a CPU does as well, only slowly."""
QA = TASKS.get("qa")
HP = hyperparameters(learning_rate=1e-2, batch_size=8, epochs=2.0)


pytestmark = pytest.mark.usefixtures("one_thread")


def fine_tune(base: BaseModel, rows: list[RenderedRow], hp: Hyperparameters, **more) -> Tuned:
    """A fine-tune by the plan that follows from its rows."""
    plan = plan_training(hp.training, len(rows), base.device, dev_rows=len(more.get("dev_rows", ())))
    return train(base, rows, hp, plan, **{"seed": 1, "on_log": lambda step, values: None, **more})


@pytest.fixture
def base(tiny_base: Path) -> BaseModel:
    return load_base_model(str(tiny_base), CPU)


def examples(count: int) -> list[Example]:
    return [Example(str(i), context=c, question=q, answers=(a,)) for i, (c, q, a) in enumerate(qa_rows(count))]


def test_rendering_separates_what_is_read_from_what_is_learnt(base: BaseModel):
    row = render_rows(examples(1), QA, base.tokenizer)[0]
    assert base.tokenizer.decode(row.prompt_ids).endswith("<|im_start|>assistant\n")
    assert base.tokenizer.decode(row.completion_ids) == "Rome<|im_end|>"
    assert render_prompts(examples(1), QA, base.tokenizer) == [row.prompt_ids]
    labels = as_dataset([row])[0]["labels"]
    assert labels == [IGNORED] * len(row.prompt_ids) + row.completion_ids


def test_rows_that_do_not_fit_are_left_out_and_none_left_is_an_error():
    rows = [RenderedRow("a", [1] * 10, [2] * 2), RenderedRow("b", [1] * 30, [2] * 2)]
    assert [row.id for row in within_length(rows, 12)] == ["a"]
    with pytest.raises(
        DataError, match=r"max_length=8 cuts off the completion of every one of the 2[\s\S]*max_length=32"
    ):
        within_length(rows, 8)


def test_a_template_that_hides_the_answer(base: BaseModel):
    base.tokenizer.chat_template = "{{ messages[-1]['content'] }}{% if add_generation_prompt %}>{% endif %}"
    with pytest.raises(ModelError, match="does not put the answer after"):
        render_rows(examples(1), QA, base.tokenizer)


def test_training_moves_every_lora_matrix_and_nothing_else(base: BaseModel):
    before = {name: p.detach().clone() for name, p in base.model.named_parameters()}
    points: list[tuple[int, dict]] = []
    rows = render_rows(examples(32), QA, base.tokenizer)
    tuned = fine_tune(base, rows, HP, seed=1, on_log=lambda s, v: points.append((s, dict(v))), dev_rows=rows[:4])
    assert tuned.steps == 8
    for name, p in tuned.model.named_parameters():
        if "lora_" in name:
            assert p.requires_grad
            assert p.detach().abs().sum() > 0, f"{name} is still zero"
        else:
            assert not p.requires_grad
            original = name.removeprefix("base_model.model.").replace(".base_layer", "")
            assert torch.equal(p, before[original]), f"{name} moved"
    losses = [v["train/loss"] for _, v in points if "train/loss" in v]
    assert len(losses) == 8
    assert losses[-1] < losses[0]
    assert [s for s, v in points if "eval/loss" in v][-1] == 8
    assert all("train/grad_norm" in v and "train/learning_rate" in v for _, v in points if "train/loss" in v)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tiny_base: Path):
    def weights(seed: int) -> torch.Tensor:
        base = load_base_model(str(tiny_base), CPU)
        rows = render_rows(examples(16), QA, base.tokenizer)
        model = fine_tune(base, rows, HP, seed=seed, on_log=lambda s, v: None).model
        return torch.cat([p.detach().flatten() for n, p in model.named_parameters() if "lora_" in n])

    first = weights(1)
    assert torch.equal(first, weights(1))
    assert not torch.equal(first, weights(2))


def test_gradient_accumulation_gives_the_loss_of_the_whole_batch(tiny_base: Path):
    def first_loss(per_device: int) -> float:
        base = load_base_model(str(tiny_base), CPU)
        rows = render_rows(examples(16), QA, base.tokenizer)
        losses: list[float] = []
        hp = hyperparameters(batch_size=16, per_device_batch_size=per_device, lora_dropout=0.0, max_steps=1)
        fine_tune(
            base, rows, hp, seed=1, on_log=lambda s, v: losses.append(v["train/loss"]) if "train/loss" in v else None
        )
        return losses[0]

    assert first_loss(4) == pytest.approx(first_loss(16), rel=1e-4)


def test_a_nan_loss_ends_the_training_aloud(base: BaseModel):
    with torch.no_grad():
        base.model.model.embed_tokens.weight.fill_(float("nan"))
    rows = render_rows(examples(8), QA, base.tokenizer)
    with pytest.raises(TrainingError, match=r"train/loss became nan at step 1 of 2[\s\S]*learning_rate"):
        fine_tune(base, rows, HP, seed=1, on_log=lambda s, v: None)


def test_target_modules_that_the_model_does_not_have(base: BaseModel):
    rows = render_rows(examples(8), QA, base.tokenizer)
    with pytest.raises(ConfigError, match=r"target_modules='wq'[\s\S]*q_proj"):
        fine_tune(base, rows, hyperparameters(target_modules="wq"), seed=1, on_log=lambda s, v: None)


def test_full_training_moves_every_weight_and_loads_in_plain_transformers(base: BaseModel, tmp_path: Path):
    from transformers import AutoModelForCausalLM

    before = {name: p.detach().clone() for name, p in base.model.named_parameters()}
    rows = render_rows(examples(16), QA, base.tokenizer)
    tuned = fine_tune(base, rows, hyperparameters(method="full", learning_rate=1e-3, batch_size=8, epochs=1.0))
    assert tuned.trainable_parameters == tuned.total_parameters == sum(p.numel() for p in before.values())
    for name, p in tuned.model.named_parameters():
        assert not torch.equal(p, before[name]), f"{name} stayed"
    METHODS.get("full").save(tuned.model, base.tokenizer, tmp_path / "model")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    prompts = render_prompts(examples(6), QA, load_tokenizer(str(tmp_path / "model")))
    ours = generate(tuned.model, base.tokenizer, prompts, max_new_tokens=5)
    assert generate(plain, base.tokenizer, prompts, max_new_tokens=5) == ours


def test_batched_answers_are_those_of_batch_size_one(base: BaseModel):
    mixed = [ids[: 5 + i] for i, ids in enumerate(render_prompts(examples(24), QA, base.tokenizer))]
    alone = generate(base.model, base.tokenizer, mixed, max_new_tokens=6, batch_rows=1)
    assert generate(base.model, base.tokenizer, mixed, max_new_tokens=6, batch_rows=24) == alone
    assert all(len(answer) <= 6 for answer in alone)


def test_generation_leaves_the_mode_as_it_was(base: BaseModel):
    base.model.train()
    generate(base.model, base.tokenizer, [[5, 6]], max_new_tokens=2)
    assert base.model.training


def test_the_adapter_loads_in_plain_peft_and_answers_alike(base: BaseModel, tiny_base: Path, tmp_path: Path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    rows = render_rows(examples(16), QA, base.tokenizer)
    tuned = fine_tune(base, rows, hyperparameters(learning_rate=5e-2, batch_size=8), seed=1, on_log=lambda s, v: None)
    METHODS.get("lora").save(tuned.model, base.tokenizer, tmp_path / "adapter")
    assert {"adapter_model.safetensors", "adapter_config.json"} <= {f.name for f in (tmp_path / "adapter").iterdir()}
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["r"] == 8
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), tmp_path / "adapter")
    prompts = render_prompts(examples(6), QA, base.tokenizer)
    ours = generate(tuned.model, base.tokenizer, prompts, max_new_tokens=5)
    assert generate(plain.eval(), base.tokenizer, prompts, max_new_tokens=5) == ours


def test_the_digest_is_of_the_weights(tiny_base: Path, tmp_path: Path):
    from benchmarks.tiny import write_base

    assert weights_digest(str(tiny_base)) == weights_digest(str(write_base(tmp_path / "same")))
    assert weights_digest(str(tiny_base)) != weights_digest(str(write_base(tmp_path / "other", hidden=48)))


def test_a_base_model_that_is_not_there(tmp_path: Path):
    with pytest.raises(ModelError, match=r"base model '.*absent' does not exist[\s\S]*a name \(lab, minilm, smollm2\)"):
        load_tokenizer(str(tmp_path / "absent"))
    with pytest.raises(ModelError, match="the folder holds no model"):
        load_tokenizer(str(tmp_path))


def test_a_hub_model_while_offline():
    with pytest.raises(
        ModelError, match=r"'owner/name' is not in the local cache and cannot be fetched[\s\S]*base_model=lab"
    ):
        load_tokenizer("owner/name")


def test_a_base_model_with_damaged_weights(tmp_path: Path):
    from benchmarks.tiny import write_base

    folder = write_base(tmp_path / "base")
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="weights cannot be loaded"):
        load_base_model(str(folder), CPU)


def test_a_tokenizer_without_a_chat_template(tmp_path: Path):
    from benchmarks.tiny import write_base

    folder = write_base(tmp_path / "base")
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"no chat template[\s\S]*instruct model"):
        load_tokenizer(str(folder))


def test_small_steps_are_not_lost_in_bfloat16(tiny_base: Path):
    moved = {}
    for device in (CPU, LIKE_A_GPU):
        base = load_base_model(str(tiny_base), device)
        before = {name: weight.detach().float().clone() for name, weight in base.model.named_parameters()}
        rows = render_rows(examples(16), QA, base.tokenizer)
        fine_tune(base, rows, hyperparameters(method="full", learning_rate=2e-5, batch_size=8, epochs=2.0))
        after = dict(base.model.named_parameters())
        assert {weight.dtype for weight in after.values()} == {torch.float32}
        moved[device.bf16] = sum(float((after[name].detach() - old).abs().sum()) for name, old in before.items())
    assert moved[True] == pytest.approx(moved[False], rel=0.2)


def test_an_adapter_learns_in_float32_beside_weights_in_bfloat16(tiny_base: Path):
    base = load_base_model(str(tiny_base), LIKE_A_GPU)
    rows = render_rows(examples(16), QA, base.tokenizer)
    losses: list[float] = []

    def on_log(step: int, values: Mapping[str, float]) -> None:
        losses.extend([values["train/loss"]] if "train/loss" in values else [])

    tuned = fine_tune(base, rows, HP, on_log=on_log)
    kinds = {weight.requires_grad: weight.dtype for weight in tuned.model.parameters()}
    assert kinds == {True: torch.float32, False: torch.bfloat16}
    assert losses[-1] < losses[0]


def test_the_curve_has_its_early_points_and_they_change_no_step(base: BaseModel, tiny_base: Path):
    rows = render_rows(examples(8), QA, base.tokenizer)
    dev = render_rows(examples(12)[8:], QA, base.tokenizer)
    hp = hyperparameters(learning_rate=1e-2, batch_size=8, epochs=24.0)
    seen: dict[str, list[tuple[int, float]]] = {}

    def on_log(step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            seen.setdefault(name, []).append((step, value))

    fine_tune(base, rows, hp, dev_rows=dev, on_log=on_log)
    assert [step for step, _ in seen["eval/loss"]] == [1, 2, 4, 6, 12, 18, 24]
    losses = seen["train/loss"]
    seen = {}
    fine_tune(load_base_model(str(tiny_base), CPU), rows, hp, on_log=on_log)
    assert seen["train/loss"] == losses
