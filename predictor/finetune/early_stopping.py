"""Ends a fine-tune whose eval/loss no longer improves, and keeps the weights that were best."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import TrainerCallback

from predictor.finetune.snapshot import put_back, trainable


class EarlyStopping(TrainerCallback):
    """Stops after `patience` evaluations in a row without a new lowest eval/loss.

    transformers' own callback needs checkpoints on disk to come back to the best weights; LoRA matrices are small, so
    one copy is held on the device instead.

    Attributes:
        best: the lowest eval/loss so far, in nats per answer token.
        without_improvement: evaluations since.
    """

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = math.inf
        self.without_improvement = 0
        self._weights: dict[str, torch.Tensor] = {}

    @property
    def exhausted(self) -> bool:
        return self.without_improvement >= self.patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        loss = float(kwargs["metrics"]["eval_loss"])
        if loss < self.best:
            self.best = loss
            self.without_improvement = 0
            self._weights = {name: p.detach().clone() for name, p in trainable(kwargs["model"]).items()}
        else:
            self.without_improvement += 1
            if self.exhausted:
                control.should_training_stop = True

    def restore_best(self, model: Any) -> None:
        """Give the model its best weights; those of the last step when there was no evaluation."""
        if self._weights:
            put_back(model, self._weights)

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Tensors and JSON values for :meth:`restore`."""
        best = None if math.isinf(self.best) else self.best
        return self._weights, {"best": best, "without_improvement": self.without_improvement}

    def restore(self, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self.best = math.inf if values["best"] is None else values["best"]
        self.without_improvement = values["without_improvement"]
        self._weights = tensors
