"""Teaches the base model to read: the only file of the lab that runs torch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AttentionInterface, Qwen2Config, Qwen2ForCausalLM

from predictor.config import canonical_hash
from predictor.errors import TrainingError
from predictor.files import whole_file
from predictor.lab.lessons import LADDER, Batch, choose_level, draw_batch
from predictor.lab.recipe import Recipe
from predictor.lab.tokenizer import END_OF_TEXT, IM_END, save_tokenizer, train_tokenizer

CHECKPOINT: Final = "checkpoint.pt"
CURVE: Final = "curve.json"
_MEMORY: Final = 0.95
"""How much of the running accuracy is kept at each step at the highest level reached."""
_LOG_EVERY: Final = 10
_NAMES: Final = 30_000

_ATTENTION: Final = "predictor_chats"

OnLog = Callable[[int, int, dict[str, float]], None]


def pretrain(
    recipe: Recipe, folder: Path, on_log: OnLog | None = None, stop_after: int | None = None
) -> dict[str, float]:
    """Train the base model and write it, its tokenizer and its curve into `folder`.

    Goes on from `folder/checkpoint.pt` when a call with the same recipe was cut off. Each step's lessons depend on the
    seed and the step alone, so a resumed run learns the same lessons as an uninterrupted one.

    Args:
        on_log: called every few steps with the step, the steps since the last call, and the step's numbers.
        stop_after: leave after this step with a checkpoint and the model as it is then.

    Returns:
        The last logged numbers.

    Raises:
        TrainingError: the loss is not finite, or the checkpoint in `folder` belongs to another recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(recipe.vocabulary, _NAMES, recipe.seed)
    model = build_model(recipe, tokenizer)
    matrices, others = _parameter_groups(model)
    muon = torch.optim.Muon(matrices, lr=recipe.muon_learning_rate, weight_decay=0.0)
    adamw = torch.optim.AdamW(others, lr=recipe.adamw_learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    parts = {"model": model, "muon": muon, "adamw": adamw}
    state, curve = _resume(recipe, folder, parts)
    started = time.perf_counter() - state["seconds"]
    told = 0
    last = stop_after if stop_after is not None else recipe.steps
    while state["step"] < min(last, recipe.steps):
        step = state["step"]
        rng = Random(f"lesson-{recipe.seed}-{step}")
        level = choose_level(rng, int(state["level"]))
        batch = draw_batch(rng, tokenizer, level, recipe.passages)
        for optimizer, peak in ((muon, recipe.muon_learning_rate), (adamw, recipe.adamw_learning_rate)):
            for group in optimizer.param_groups:
                group["lr"] = peak * learning_rate_share(recipe, step)
        loss, right = _learn(model, batch, (muon, adamw), recipe.bfloat16)
        if not torch.isfinite(loss):
            raise TrainingError(
                "the pretraining loss is not finite",
                where=f"step {step}",
                fix="lower the learning rates, or set bfloat16=false",
            )
        if level is LADDER[int(state["level"])]:
            state["accuracy"] += (1 - _MEMORY) * (right - state["accuracy"])
            if state["accuracy"] >= recipe.gate and state["level"] < len(LADDER) - 1:
                state["level"] += 1
                state["accuracy"] = 0.0
        state["step"] = step + 1
        state["tokens"] += batch.tokens
        state["seconds"] = time.perf_counter() - started
        if (step + 1) % _LOG_EVERY == 0 or step + 1 == last:
            values = {"loss": float(loss), "value_accuracy": state["accuracy"], "level": float(state["level"])}
            values |= {"tokens": float(state["tokens"]), "seconds": state["seconds"]}
            curve.append({"step": step + 1, **{name: round(value, 4) for name, value in values.items()}})
            if on_log:
                on_log(step + 1, step + 1 - told, values)
            told = step + 1
        if (step + 1) % recipe.checkpoint_every == 0:
            _checkpoint(recipe, folder, parts, state, curve)
    _checkpoint(recipe, folder, parts, state, curve)
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)
    return dict(curve[-1]) if curve else {}


def build_model(recipe: Recipe, tokenizer: Tokenizer) -> Qwen2ForCausalLM:
    """A Qwen2 with fresh weights, seeded."""
    torch.manual_seed(recipe.seed)
    config = Qwen2Config(
        vocab_size=recipe.vocabulary,
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        intermediate_size=recipe.mlp_width,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.token_to_id(IM_END),
        pad_token_id=tokenizer.token_to_id(END_OF_TEXT),
        bos_token_id=None,
        attn_implementation=_ATTENTION,  # type: ignore[call-arg]
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config.do_sample = False
    return model


def learning_rate_share(recipe: Recipe, step: int) -> float:
    """Share of the peak learning rate at `step`: linear warm-up, two plateaus, linear fall to 2 %."""
    rise = min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0
    plateau = recipe.settled_share if step >= recipe.settle_step else 1.0
    fall = recipe.decay_share * recipe.steps
    return rise * plateau * (min(1.0, max(0.02, (recipe.steps - step) / fall)) if fall else 1.0)


def _parameter_groups(model: Qwen2ForCausalLM) -> tuple[list[Tensor], list[Tensor]]:
    """The layers' matrices, for Muon, and everything else, for AdamW."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and ".layers." in name else others).append(parameter)
    return matrices, others


def _learn(
    model: Qwen2ForCausalLM, batch: Batch, optimizers: tuple[torch.optim.Optimizer, ...], bfloat16: bool
) -> tuple[Tensor, float]:
    """One step; returns the loss before it and the share of value tokens that were right."""
    learn, ids = torch.from_numpy(batch.learn), torch.from_numpy(batch.ids)
    chosen = learn.flatten().nonzero()[:, 0]
    wanted = ids.flatten()[chosen + 1]
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        hidden = model.model(
            input_ids=ids,
            position_ids=torch.from_numpy(batch.positions),
            attention_mask={"full_attention": _chat_bias(batch)},
            use_cache=False,
        ).last_hidden_state
        logits = model.lm_head(hidden.flatten(0, 1)[chosen]).float()
    loss = torch.nn.functional.cross_entropy(logits, wanted)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()
    value = learn.flatten()[chosen] == 2
    return loss.detach(), float((logits.argmax(-1) == wanted)[value].float().mean())


def _chat_bias(batch: Batch) -> Tensor:
    """0 where a chat's token may look and −∞ elsewhere.

    Shape (passages × chats, 1, chat_width, passage_width + chat_width).
    """
    passages, width = batch.lengths.shape[0], batch.chat_width
    outside = torch.arange(batch.passage_width) >= torch.from_numpy(batch.lengths)[:, None]
    outside = outside[:, None, None, :].expand(passages, batch.chats, width, -1)
    later = torch.ones(width, width, dtype=torch.bool).triu(1).expand(passages, batch.chats, width, width)
    hidden = torch.cat([outside, later], dim=-1).flatten(0, 1)[:, None]
    return torch.zeros(hidden.shape).masked_fill_(hidden, float("-inf"))


def _attend(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of a row of :class:`Batch`: the passage looks at itself, each chat at the passage and at itself.

    In float32, which is faster than bfloat16 here; a chat is never multiplied with another.
    """
    passages = query.shape[0]
    width = attention_mask.shape[-2]
    wide = attention_mask.shape[-1] - width
    chats = attention_mask.shape[0] // passages

    def split(states: Tensor) -> tuple[Tensor, Tensor]:
        """The passage's states, and the chats' as (passages × chats, heads, chat_width, size)."""
        parts = states[:, :, wide:].unflatten(2, (chats, width)).transpose(1, 2)
        return states[:, :, :wide], parts.flatten(0, 1)

    def beside(passage: Tensor, chat: Tensor) -> Tensor:
        return torch.cat([passage.repeat_interleave(chats, dim=0), chat], dim=2)

    with torch.autocast("cpu", enabled=False):
        (q, chat_q), (k, chat_k), (v, chat_v) = (split(states.float()) for states in (query, key, value))
        attend = torch.nn.functional.scaled_dot_product_attention
        passage = attend(q, k, v, is_causal=True, scale=scaling)
        chat = attend(chat_q, beside(k, chat_k), beside(v, chat_v), attn_mask=attention_mask, scale=scaling)
    chat = chat.unflatten(0, (passages, chats)).transpose(1, 2).flatten(2, 3)
    return torch.cat([passage, chat], dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(_ATTENTION, _attend)


def _resume(recipe: Recipe, folder: Path, parts: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The state to go on from, loaded into `parts` when the folder holds a checkpoint."""
    fresh = {"step": 0, "level": 0, "accuracy": 0.0, "tokens": 0, "seconds": 0.0}
    path = folder / CHECKPOINT
    if not path.exists():
        return fresh, []
    saved = torch.load(path, weights_only=True)
    if saved["recipe"] != _recipe_hash(recipe):
        raise TrainingError(
            "the checkpoint belongs to another recipe",
            where=str(path),
            rule="a run goes on only with the parameters that it was started with",
            fix="give the same parameters, or another output folder",
        )
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return saved["state"], json.loads(saved["curve"])


def _checkpoint(
    recipe: Recipe, folder: Path, parts: dict[str, Any], state: dict[str, Any], curve: list[dict[str, Any]]
) -> None:
    """Write the checkpoint and the curve; a crash leaves the last ones whole."""
    saved = {name: part.state_dict() for name, part in parts.items()}
    saved |= {"state": state, "curve": json.dumps(curve), "recipe": _recipe_hash(recipe)}
    with whole_file(folder / CHECKPOINT, "wb", durable=True) as file:
        torch.save(saved, file)
    with whole_file(folder / CURVE, encoding="utf-8") as file:
        file.write(json.dumps(curve) + "\n")


def _recipe_hash(recipe: Recipe) -> str:
    from dataclasses import asdict

    return canonical_hash(asdict(recipe))
