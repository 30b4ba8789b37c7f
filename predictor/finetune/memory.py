"""How much accelerator memory a fine-tune needs, from the model's configuration alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from predictor.errors import TrainingError
from predictor.finetune.methods import METHODS, Footprint
from predictor.finetune.settings import Hyperparameters
from predictor.models.device import Device

_MARGIN = 1.1
"""Fragmentation and the CUDA context, as a factor."""
_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_HIDDEN_BYTES = 30
_MLP_TENSORS = 4
"""What autograd keeps of one Qwen2 layer for each token: about 30 bytes a hidden unit in 16 and in 32 bit alike (norms
partly in float32, queries, keys, values, attention output), four tensors of the MLP's width (gate, up, activation,
product), and the dropped-out input of each adapted module with its mask. Attention scores are never held by SDPA and
flash attention. The counts come from autograd's saved tensors; a test repeats the count on a small model."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Megabytes (10⁶ bytes) by part, and the number of trained parameters."""

    weights_mb: float
    training_mb: float
    activations_mb: float
    logits_mb: float
    trained_parameters: int

    @property
    def total_mb(self) -> float:
        """All parts together, and a tenth more for fragmentation and the CUDA context."""
        return (self.weights_mb + self.training_mb + self.activations_mb + self.logits_mb) * _MARGIN


def estimate_memory(
    config: Any, hp: Hyperparameters, *, rows: int, tokens: int, dtype_bytes: int, checkpointing: bool
) -> MemoryEstimate:
    """Memory at the peak of a training step.

    Args:
        config: a transformers configuration of the Qwen2 or Llama kind (hidden_size, intermediate_size, ...).
        rows: rows of one forward pass.
        tokens: of the longest row.
        dtype_bytes: of one base weight: 2 for bfloat16, 4 for float32.
        checkpointing: with it, only each layer's input and one layer's activations are held.
    """
    shapes = linear_shapes(config)
    linear = sum(a * b for a, b in shapes.values()) * config.num_hidden_layers
    embeddings = _outside(config)
    footprint = _footprint(config, hp)
    trained = footprint.parameters * config.num_hidden_layers + footprint.outside
    cells = rows * tokens * config.hidden_size
    layer = rows * tokens * layer_bytes(config, hp, dtype_bytes)
    inputs = cells * dtype_bytes * config.num_hidden_layers
    activations = inputs + layer if checkpointing else layer * config.num_hidden_layers
    # TRL computes the loss from chunks of the vocabulary projection; the hidden states and one chunk in float32 remain.
    logits = cells * 4 + min(rows * tokens, 1024) * config.vocab_size * 4 * 2
    # Gradient and Adam's two moments beside trained weights of the model; matrices beside it come on top, in float32.
    each = 3 * dtype_bytes if footprint.in_place else 16
    return MemoryEstimate(
        weights_mb=(linear + embeddings) * dtype_bytes / 1e6,
        training_mb=trained * each / 1e6,
        activations_mb=activations / 1e6,
        logits_mb=logits / 1e6,
        trained_parameters=trained,
    )


def layer_bytes(config: Any, hp: Hyperparameters, dtype_bytes: int) -> float:
    """Activations of one transformer layer that the backward pass needs, in bytes for each token."""
    dropped = _footprint(config, hp).dropped_inputs * (dtype_bytes + 2)
    return _HIDDEN_BYTES * config.hidden_size + _MLP_TENSORS * dtype_bytes * config.intermediate_size + dropped


def _footprint(config: Any, hp: Hyperparameters) -> Footprint:
    return METHODS.get(hp.method.name).footprint(linear_shapes(config), _outside(config), hp.method.settings)


def _outside(config: Any) -> int:
    return int(config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2))


def linear_shapes(config: Any) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of each linear module of one layer."""
    hidden, head = (
        config.hidden_size,
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
    )
    query, key = head * config.num_attention_heads, head * config.num_key_value_heads
    sizes = (
        (hidden, query),
        (hidden, key),
        (hidden, key),
        (query, hidden),
        (hidden, config.intermediate_size),
        (hidden, config.intermediate_size),
        (config.intermediate_size, hidden),
    )
    return dict(zip(_LINEAR, sizes, strict=True))


def choose_checkpointing(config: Any, hp: Hyperparameters, device: Device, *, rows: int, tokens: int) -> bool:
    """Whether activations must be recomputed to fit. A CPU never needs it; it would cost a third of the speed.

    Raises:
        TrainingError: the fine-tune does not fit even so.
    """
    if device.kind == "cpu":
        return False
    dtype_bytes = 2 if device.bf16 else 4
    plain, checkpointed = (
        estimate_memory(config, hp, rows=rows, tokens=tokens, dtype_bytes=dtype_bytes, checkpointing=c).total_mb
        for c in (False, True)
    )
    available = device.memory_bytes / 1e6
    if plain <= available:
        return False
    if checkpointed <= available:
        return True
    raise TrainingError(
        f"the fine-tune needs about {checkpointed / 1e3:.1f} GB and the GPU has {available / 1e3:.1f} GB",
        where=f"{rows} rows of {tokens} tokens in one forward pass",
        rule="weights, adapter, activations and logits must fit together, here already with gradient checkpointing",
        fix="lower per_device_batch_size or max_length (accumulation keeps batch_size), or use a larger GPU",
    )
