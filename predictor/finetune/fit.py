"""Makes a plan fit a device: how much goes through the model at once, and whether activations are recomputed."""

from __future__ import annotations

import bisect
import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from predictor.errors import TrainingError
from predictor.finetune.memory import MemoryEstimate, estimate_memory
from predictor.finetune.plan import TrainingPlan, largest_divisor
from predictor.finetune.settings import Hyperparameters
from predictor.models.device import Device
from predictor.models.render import RenderedRow
from predictor.models.room import Room

CPU_PASS_MB = 3200.0
"""Memory of one pass on a CPU, at most: more makes no pass faster, and takes memory from others.

Llama 30 × 576 with adapters on rows of 208 tokens, tokens in a second of one core's time: 118 with one row in a pass,
116 with two, 129 with four, 122 with eight. The rule counts bytes and not tokens, since a small model needs many rows
to fill a core; the embedded base never comes near it.
"""


def fit(
    plan: TrainingPlan,
    config: Any,
    hp: Hyperparameters,
    rows: Sequence[RenderedRow],
    device: Device,
    free: Room,
    *,
    alike: bool = False,
) -> TrainingPlan:
    """The plan with passes that fit what is free; rows, steps and their order stay.

    Passes are as large as is fast, then as large as fits; only where the longest row does not fit alone are activations
    recomputed. Rows that are asked for by `per_device_batch_size` stay in one pass.

    Args:
        config: of the base model, from transformers.
        rows: training rows.
        alike: all passes have as many rows, as several processes need it, which wait for one another in each.

    Raises:
        TrainingError: it cannot fit.
    """
    longest = max(row.length for row in rows)
    whole = plan.per_device_batch_size * longest
    # No pass of so many tokens, padding included, has a larger part of them to learn.
    share = max(row.learnt / row.length for row in rows)

    def estimate(tokens: int, checkpointing: bool) -> MemoryEstimate:
        return estimate_memory(
            config,
            hp,
            tokens=tokens,
            learnt=round(share * tokens),
            longest=longest,
            dtype_bytes=2 if device.bf16 else 4,
            checkpointing=checkpointing,
            cpu=device.kind == "cpu",
        )

    def needed(checkpointing: bool, tokens: int) -> float:
        return estimate(tokens, checkpointing).total_mb

    ordered = bool(hp.training.per_device_batch_size)
    least = whole if ordered else longest
    for checkpointing in (False, True):
        fitting = _most(whole, partial(needed, checkpointing), free.bytes / 1e6)
        if fitting >= least:
            break
    else:
        raise _too_large(plan, longest, fitting, ordered, needed(True, least), free)
    fast = whole
    if device.kind == "cpu" and not ordered:
        fast = _most(whole, lambda tokens: estimate(tokens, checkpointing=False).pass_mb, CPU_PASS_MB)
    tokens = max(longest, min(fast, fitting))
    plan = dataclasses.replace(plan, checkpointing=checkpointing)
    if tokens >= whole:
        return plan
    if device.flash_attention or alike:
        # With flash attention rows are laid end to end, and only whole batches can be made smaller.
        per_device = largest_divisor(plan.per_device_batch_size, tokens // longest)
        times = plan.gradient_accumulation_steps * (plan.per_device_batch_size // per_device)
        return dataclasses.replace(plan, per_device_batch_size=per_device, gradient_accumulation_steps=times)
    return dataclasses.replace(plan, pass_tokens=tokens)


def _most(whole: int, cost: Callable[[int], float], limit: float) -> int:
    """The largest number of tokens up to `whole` whose cost, which grows with them, keeps a limit; 0 when none does."""
    return bisect.bisect_right(range(1, whole + 1), limit, key=cost)


def _too_large(
    plan: TrainingPlan, longest: int, fitting: int, ordered: bool, needed_mb: float, free: Room
) -> TrainingError:
    rows = plan.per_device_batch_size if ordered else 1
    if ordered and fitting >= longest:
        most = largest_divisor(plan.per_device_batch_size * plan.gradient_accumulation_steps, fitting // longest)
        fix = f"set per_device_batch_size={most}, the largest that fits, or 0 to let it be chosen"
    else:
        most_tokens = f" to {fitting} tokens at most" if fitting else ""
        fix = f"lower max_length{most_tokens}, use a smaller base model or fewer workers of a sweep, or free memory"
    return TrainingError(
        f"the fine-tune needs about {needed_mb / 1e3:.1f} GB and {free.bytes / 1e9:.1f} GB are free",
        where=f"{rows} row{'s' * (rows > 1)} of {longest} tokens in one pass; free: {free.source}",
        rule="weights, what trains them, activations and scores of one pass must fit together, here already with "
        "activations recomputed",
        fix=fix,
    )


def told(plan: TrainingPlan, config: Any, hp: Hyperparameters, rows: Sequence[RenderedRow], device: Device) -> str:
    """What want of memory has made of a plan, in words; empty when it is the one that any amount would give."""
    free = Room(sys.maxsize, "")
    wide = fit(dataclasses.replace(plan, pass_tokens=0, checkpointing=False), config, hp, rows, device, free)
    if plan.checkpointing:
        return "memory is short: activations are recomputed, which takes about a third longer"
    if plan.pass_tokens != wide.pass_tokens:
        return (
            f"memory is short: {plan.pass_tokens} tokens in one pass instead of {wide.pass_tokens or 'a whole batch'}"
        )
    return ""
