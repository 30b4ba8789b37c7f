"""The hyperparameters of the base model and of its pretraining."""

from __future__ import annotations

from dataclasses import dataclass

from predictor.config import _field


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the base model's weights, up to the machine's arithmetic."""

    steps: int = _field(6000, "optimizer steps", least=1)
    passages: int = _field(32, "passages in one step, each with 2 to 9 chats", least=1)
    seed: int = _field(1, "seeds the tokenizer's names, the first weights and every lesson", least=0)
    muon_learning_rate: float = _field(0.02, "learning rate of Muon, for the matrices inside the layers", above=0.0)
    adamw_learning_rate: float = _field(3e-3, "learning rate of AdamW, for embeddings, norms and biases", above=0.0)
    warmup_steps: int = _field(50, "steps in which the learning rates rise", least=0)
    settle_step: int = _field(400, "step from which the learning rates are multiplied by settled_share", least=0)
    settled_share: float = _field(0.4, "share of the learning rates once copying is learnt", above=0.0, most=1.0)
    decay_share: float = _field(0.75, "share of the steps, at the end, in which the rates fall to 2 %", least=0, most=1)
    gate: float = _field(0.75, "share of value tokens that must be right before the next level opens", above=0, most=1)
    vocabulary: int = _field(2048, "tokens of the tokenizer", least=512)
    width: int = _field(128, "hidden size", least=16)
    layers: int = _field(4, "transformer layers", least=1)
    heads: int = _field(4, "attention heads", least=1)
    mlp_width: int = _field(256, "hidden size of the MLPs", least=16)
    bfloat16: bool = _field(True, "multiply matrices in bfloat16; the weights stay in float32")
    checkpoint_every: int = _field(200, "steps between checkpoints", least=1)
