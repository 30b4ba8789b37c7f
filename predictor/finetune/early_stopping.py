"""Ends a fine-tune whose evaluations no longer improve, and keeps the weights that were best."""

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
    """Stops after `patience` evaluations in a row without a new best.

    transformers' own callback needs checkpoints on disk to come back to the best weights; here they are kept apart, by
    :class:`~predictor.finetune.best_weights.BestWeights`.

    Args:
        patience: 0 never stops and keeps the best weights all the same.
        folder: for the best weights while training lasts, when they are many.
        metric: what of an evaluation is compared: `loss`, of which the lowest is best, or a score.

    Attributes:
        best: the best value so far, a score with its sign turned; of the loss in nats per answer token.
        without_improvement: evaluations since.
    """

    def __init__(self, patience: int, folder: Path, metric: str = "loss") -> None:
        self.patience = patience
        self.metric = metric
        self.best = math.inf
        self.without_improvement = 0
        self._weights = BestWeights(folder)

    @property
    def exhausted(self) -> bool:
        """Whether `patience` evaluations in a row have brought no new best."""
        return 0 < self.patience <= self.without_improvement

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the weights of a new best, or count the evaluation and perhaps end the training."""
        value = float(kwargs["metrics"][f"eval_{self.metric}"])
        value = value if self.metric == "loss" else -value
        if value < self.best:
            self.best = value
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
