"""What the train tier of the probe sees of a model with a head that says classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.models.base_model import BaseModel
from predictor.models.reading import TINY, LabelledRow, class_loss, class_probabilities
from predictor.probe import Marks
from predictor.trial.first_steps_of_heads import FirstStepsOfHead, Seen

if TYPE_CHECKING:
    import torch


class FirstStepsOfClasses(FirstStepsOfHead):
    """Watches for the classes of the development slice; a loss is that of a text's class, in nats."""

    def __init__(self, steps: int, base: BaseModel, headline: str, dev_rows: Sequence[LabelledRow]) -> None:
        super().__init__(steps, base, headline, dev_rows)
        self._labels = np.array([row.label for row in dev_rows], dtype=np.int64)

    def said(self, model: Any) -> np.ndarray:
        """Probabilities of the classes, (rows, classes)."""
        return class_probabilities(model, self._base.tokenizer, self._dev_rows)

    def loss(self, said: np.ndarray) -> float:
        """Mean cross-entropy in nats."""
        return class_loss(said, self._labels)

    def part_of_loss(self, outputs: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
        """Cross-entropy of some rows over the number of all."""
        import torch

        labels = torch.tensor(self._labels[places], device=outputs.device)
        return torch.nn.functional.cross_entropy(outputs, labels, reduction="sum") / len(self._dev_rows)

    def seen(self, before: np.ndarray, after: np.ndarray) -> Seen:
        """Loss, the share of classes that were found, and KL of before from after in nats per text."""
        hits = float(np.mean(after.argmax(1) == self._labels))
        ratio = np.log(np.maximum(before, TINY)) - np.log(np.maximum(after, TINY))
        divergence = float((before * ratio).sum(1).mean())
        return Seen(Marks(class_loss(after, self._labels), hits, hits), hits, divergence)
