"""How much memory a fine-tune needs, from the model's configuration alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from predictor.finetune.methods import METHODS, Footprint
from predictor.finetune.settings import Hyperparameters
from predictor.models.shape import attention_dropout, key_width, mlp_width, query_width, text_config

_MARGIN = 1.1
"""Fragmentation and the CUDA context, as a factor."""
_HEAP, _HEAP_IN_PLACE = 1.65, 1.15
"""What a heap takes beyond what is alive in it, as a factor on activations on a CPU, with and without matrices beside
the weights: glibc often cannot give an aligned block of a size to the hole that one of this very size has left, and the
more so the more sizes there are. Measured as peak resident memory: 1.6 to 1.7 with adapters on Llama 30 × 576 in passes
of 208 to 1 664 tokens. With every block mapped apart (:func:`~predictor.models.room.thrifty_heap`) it was 1.0, and a
step took half as long again; that is done where activations are recomputed, which left six times what was alive."""
_TILE_TOKENS, _TILE_WIDTH, _TILES = 4096, 32_768, 6
"""TRL's loss on a CPU: scores of so many tokens for so much of the vocabulary at a time, and copies of them at once."""
_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_HIDDEN_BYTES = 30
_MLP_TENSORS = 4
"""What autograd keeps of one Qwen2 layer for each token: about 30 bytes a hidden unit in 16 and in 32 bit alike (norms
partly in float32, queries, keys, values, attention output), four tensors of the MLP's width (gate, up, activation,
product), and the dropped-out input of each adapted module with its mask. Attention scores are never held by SDPA and
flash attention, but for those of which a part is dropped on a CPU. The counts come from autograd's saved tensors; tests
repeat them on small models."""
_DROPPED_SCORES = 3
"""Of a head, where attention is dropped on a CPU: SDPA has no kernel for it there, and writes out for each pair of
tokens the share, its mask and what is left, in float32."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Megabytes (10⁶ bytes) by part, the number of trained parameters, and a factor on the whole."""

    weights_mb: float
    training_mb: float
    activations_mb: float
    logits_mb: float
    trained_parameters: int
    margin: float = _MARGIN

    @property
    def pass_mb(self) -> float:
        """What comes and goes with one pass."""
        return (self.activations_mb + self.logits_mb) * self.margin

    @property
    def total_mb(self) -> float:
        """All parts together."""
        return (self.weights_mb + self.training_mb) * self.margin + self.pass_mb


def estimate_memory(
    config: Any,
    hp: Hyperparameters,
    *,
    tokens: int,
    dtype_bytes: int,
    checkpointing: bool,
    learnt: int | None = None,
    longest: int = 0,
    cpu: bool = False,
) -> MemoryEstimate:
    """Memory at the peak of a training step.

    Args:
        config: a transformers configuration of the Qwen2 or Llama kind (hidden_size, intermediate_size, ...).
        tokens: of one forward pass, over all of its rows, padding included.
        dtype_bytes: of one base weight: 2 for bfloat16, 4 for float32.
        checkpointing: with it, only each layer's input and one layer's activations are held.
        learnt: those of the tokens that are learnt; None means all.
        longest: tokens of the longest row, which count where attention is written out.
        cpu: the device is a CPU, with another heap and another way to compute the loss.
    """
    config = text_config(config)
    shapes = linear_shapes(config)
    linear = sum(a * b for a, b in shapes.values()) * config.num_hidden_layers
    outside = _outside(config)
    footprint = _footprint(config, hp)
    trained = footprint.parameters * config.num_hidden_layers + footprint.outside
    learnt = tokens if learnt is None else min(learnt, tokens)
    layer = tokens * layer_bytes(config, hp, dtype_bytes, longest if cpu else 0)
    inputs = tokens * config.hidden_size * dtype_bytes * config.num_hidden_layers
    activations = inputs + layer if checkpointing else layer * config.num_hidden_layers
    hidden = tokens * config.hidden_size * 4
    # Gradient and Adam's two moments beside trained weights of the model; matrices beside it come on top. All of them
    # are float32, and autocast keeps a copy of the model's in the type of the arithmetic.
    training = trained * ((12 if dtype_bytes == 4 else 12 + dtype_bytes) if footprint.in_place else 16)
    if cpu:
        logits = min(learnt, _TILE_TOKENS) * min(config.vocab_size, _TILE_WIDTH) * 4 * _TILES
        if footprint.in_place:
            # The head's gradient, before it is added to that of the embeddings.
            training += config.vocab_size * config.hidden_size * 4
    else:
        # TRL computes the loss from chunks of the vocabulary projection; one chunk in float32 remains.
        logits = min(learnt, 1024) * config.vocab_size * 4 * 2
    heap = (_HEAP_IN_PLACE if footprint.in_place else _HEAP) if cpu and not checkpointing else 1.0
    held = 4 if footprint.in_place else dtype_bytes
    weights = linear * (footprint.weight_bytes or held) + outside * held
    if footprint.weight_bytes:
        # One matrix at a time becomes what its bits stand for.
        activations += max(a * b for a, b in shapes.values()) * dtype_bytes
    return MemoryEstimate(
        weights_mb=weights / 1e6,
        training_mb=training / 1e6,
        activations_mb=activations * heap / 1e6,
        logits_mb=(hidden + logits) / 1e6,
        trained_parameters=trained,
        margin=1.0 if cpu else _MARGIN,
    )


def layer_bytes(config: Any, hp: Hyperparameters, dtype_bytes: int, longest: int = 0) -> float:
    """Activations of one transformer layer that the backward pass needs, in bytes for each token.

    Args:
        longest: on a CPU, tokens of the longest row, each of which a token looks at; elsewhere nothing is kept of that.
    """
    config = text_config(config)
    dropped = _footprint(config, hp).dropped_inputs * (dtype_bytes + 2)
    scores = _DROPPED_SCORES * 4 * config.num_attention_heads * longest if attention_dropout(config) else 0
    return _HIDDEN_BYTES * config.hidden_size + _MLP_TENSORS * dtype_bytes * mlp_width(config) + dropped + scores


def _footprint(config: Any, hp: Hyperparameters) -> Footprint:
    return METHODS.get(hp.method.name).footprint(linear_shapes(config), _outside(config), hp.method.settings)


def _outside(config: Any) -> int:
    return int(config.vocab_size * config.hidden_size * (1 if config.tie_word_embeddings else 2))


def linear_shapes(config: Any) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of each linear module of one layer."""
    hidden, query, key, width = config.hidden_size, query_width(config), key_width(config), mlp_width(config)
    sizes = (
        (hidden, query),
        (hidden, key),
        (hidden, key),
        (query, hidden),
        (hidden, width),
        (hidden, width),
        (width, hidden),
    )
    return dict(zip(_LINEAR, sizes, strict=True))
