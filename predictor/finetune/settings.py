"""Hj: what is set of one fine-tune, under the names of peft and TRL."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from predictor.config import Chosen, Sectioned, choice, from_values, param, section
from predictor.finetune.methods import METHODS


@dataclass(frozen=True)
class Training:
    """How the optimizer steps are taken, whatever the method."""

    learning_rate: float = param(3e-4, "peak learning rate of AdamW", above=0.0, most=10.0)
    batch_size: int = param(64, "examples in one optimizer step, over all devices and accumulation", least=1)
    per_device_batch_size: int = param(
        0, "examples in one forward pass, refused if they do not fit; 0 chooses by tokens and free memory", least=0
    )
    epochs: float = param(3.0, "passes over the training rows", above=0.0, most=1000.0)
    max_steps: int = param(0, "optimizer steps; 0 lets epochs decide", least=0)
    warmup_ratio: float = param(0.03, "share of the steps in which the learning rate rises", least=0.0, most=1.0)
    lr_scheduler: str = param(
        "cosine",
        "shape of the learning rate after warm-up",
        choices=("cosine", "linear", "constant", "constant_with_warmup"),
    )
    weight_decay: float = param(0.0, "decoupled weight decay of AdamW", least=0.0, most=1.0)
    max_length: int = param(1024, "tokens of prompt and completion together; longer rows are refused", least=8)
    early_stopping_patience: int = param(
        0,
        "end after so many evaluations of eval/loss without a new best, and keep the best weights; 0 trains to the end "
        "and keeps the last",
        least=0,
    )


@dataclass(frozen=True)
class Hyperparameters(Sectioned):
    """Hj: the method with its own section, and the training. Logged as `hp/<field>`."""

    method: Chosen = choice(
        lambda: METHODS,
        "lora",
        "how weights are changed: lora (adapter matrices), qlora (beside a base in 4 or 8 bits) or full (all)",
    )
    training: Training = section(Training)

    def logged(self) -> dict[str, int | float | str | bool]:
        """What a run holds under `hp/`: every field of both sections. The method is a tag of the run."""
        return dataclasses.asdict(self.method.settings) | dataclasses.asdict(self.training)


def hyperparameters(**values: Any) -> Hyperparameters:
    """Hj from hyperparameters by their one name, the others at their defaults.

    Raises:
        ConfigError: an unknown name, or a value that breaks its rule.
    """
    return from_values(Hyperparameters, values)
