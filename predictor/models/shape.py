"""Widths of a language model, from its configuration alone; kinds of models that leave one unsaid mean its default."""

from __future__ import annotations

from typing import Any, Final

HEADS: Final = ("score", "classifier")
"""What transformers calls the head of a decoder and of an encoder. peft saves a head under these names only."""


def text_config(config: Any) -> Any:
    """The part of a configuration that describes the language model."""
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def context_length(config: Any) -> int:
    """Tokens of prompt and answer that a model can hold; a very large number where its configuration does not say."""
    return int(getattr(text_config(config), "max_position_embeddings", None) or 1 << 40)


def query_width(config: Any) -> int:
    """Values of one token's queries in one layer."""
    return _head_width(config) * int(config.num_attention_heads)


def key_width(config: Any) -> int:
    """Values of one token's keys in one layer; its values are as many."""
    return _head_width(config) * int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)


def attention_dropout(config: Any) -> float:
    """The share of attention that is dropped in training; encoders of BERT's kind drop some unless they say not to."""
    names = ("attention_probs_dropout_prob", "attention_dropout")
    return next((float(value) for name in names if (value := getattr(config, name, None)) is not None), 0.0)


def mlp_width(config: Any) -> int:
    """Hidden units of one layer's MLP. Older kinds of models (GPT-2) mean four times the hidden width."""
    return int(getattr(config, "intermediate_size", None) or 4 * config.hidden_size)


def _head_width(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
