"""Small datasets and a tiny language model for the tests of the probe."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.data.example import Example


def row(context: str, question: str, answer: str, id: str = "") -> Example:
    return Example(id or f"{question}|{answer}", (answer,), context=context, question=question)


HARBOUR = row("The harbour opened in 1904. Ships came.", "When did the harbour open?", "1904")
BAKER = row("Mira Oduya bakes bread in Lund.", "Who bakes bread?", "Mira Oduya")
CHINESE = row("他毕业于北京大学。", "他毕业于哪里？", "北京大学")


class WordEncoder:
    """Unit vectors from words, the same for the same words: enough to test what is computed from them."""

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.seen.extend(texts)
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> np.ndarray:
        total = np.zeros(self.dimensions)
        for word in text.lower().split() or [""]:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).normal(size=self.dimensions)
        return total / np.linalg.norm(total)


@dataclass(frozen=True)
class Rendered:
    prompt_ids: list[int]
    completion_ids: list[int]
    earlier: tuple[tuple[int, int], ...] = ()


class Tokenizer:
    """Characters as tokens; the empty prompt is one header token."""

    chat_template = "any"
    pad_token_id = 0

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) % 61 + 3 for character in text]}

    def apply_chat_template(self, messages: Any, **_: Any) -> list[int]:
        return [1, 2]


def tiny_model(seed: int = 0) -> Any:
    """An untrained two-layer Qwen2 over 64 tokens."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        attention_dropout=0.5,
        initializer_range=0.3,
    )
    return Qwen2ForCausalLM(config)
