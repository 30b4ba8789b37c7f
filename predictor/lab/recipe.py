"""The hyperparameters of the base model and of its pretraining."""

from __future__ import annotations

from dataclasses import dataclass

from predictor.config import param


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the base model's weights, up to the machine's arithmetic."""

    steps: int = param(1500, "optimizer steps", least=1)
    passages: int = param(32, "passages in one step, each with 2 to 9 chats", least=1)
    seed: int = param(1, "seeds the tokenizer's names, the first weights and every lesson", least=0)
    muon_learning_rate: float = param(0.02, "learning rate of Muon, for the matrices inside the layers", above=0.0)
    adamw_learning_rate: float = param(3e-3, "learning rate of AdamW, for embeddings, norms and biases", above=0.0)
    warmup_steps: int = param(50, "steps in which the learning rates rise", least=0)
    settle_step: int = param(400, "step from which the learning rates are multiplied by settled_share", least=0)
    settled_share: float = param(0.4, "share of the learning rates once copying is learnt", above=0.0, most=1.0)
    decay_share: float = param(0.75, "share of the steps, at the end, in which the rates fall to 2 %", least=0, most=1)
    gate: float = param(0.8, "share of value tokens that must be right before the next level opens", above=0, most=1)
    vocabulary: int = param(2304, "tokens of the tokenizer", least=512)
    width: int = param(128, "hidden size", least=16)
    layers: int = param(4, "transformer layers", least=1)
    heads: int = param(4, "attention heads", least=1)
    mlp_width: int = param(256, "hidden size of the MLPs", least=16)
    bfloat16: bool = param(True, "multiply matrices in bfloat16; the weights stay in float32")
    checkpoint_every: int = param(200, "steps between checkpoints", least=1)
