"""Ends a fine-tune whose eval/loss no longer improves, and keeps the weights that were best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from predictor.finetune.best_weights import BestWeights
from predictor.finetune.snapshot import trainable


class EarlyStopping(TrainerCallback):
    """Stops after `patience` evaluations in a row without a new lowest eval/loss.

    transformers' own callback needs checkpoints on disk to come back to the best weights; here they are kept apart, by
    :class:`~predictor.finetune.best_weights.BestWeights`.

    Args:
        folder: for the best weights while training lasts, when they are many.

    Attributes:
        best: the lowest eval/loss so far, in nats per answer token.
        without_improvement: evaluations since.
    """

    def __init__(self, patience: int, folder: Path) -> None:
        self.patience = patience
        self.best = math.inf
        self.without_improvement = 0
        self._weights = BestWeights(folder)

    @property
    def exhausted(self) -> bool:
        """Whether `patience` evaluations in a row have brought no new lowest loss."""
        return self.without_improvement >= self.patience

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the weights of a new lowest loss, or count the evaluation and perhaps end the training."""
        loss = float(kwargs["metrics"]["eval_loss"])
        if loss < self.best:
            self.best = loss
            self.without_improvement = 0
            self._weights.keep(trainable(kwargs["model"]))
        else:
            self.without_improvement += 1
            if self.exhausted:
                control.should_training_stop = True

    def restore_best(self, model: Any) -> None:
        """Give the model its best weights; those of the last step when there was no evaluation.

        Raises:
            TrainingError: the weights were put on disk and cannot be read again.
        """
        self._weights.put_back(model)

    def state(self) -> tuple[Mapping[str, torch.Tensor], dict[str, Any]]:
        """Tensors and JSON values for :meth:`restore`."""
        best = None if math.isinf(self.best) else self.best
        return self._weights.tensors(), {"best": best, "without_improvement": self.without_improvement}

    def restore(self, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self.best = math.inf if values["best"] is None else values["best"]
        self.without_improvement = values["without_improvement"]
        self._weights.keep(tensors)
