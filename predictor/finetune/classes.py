"""Fine-tuning a model with a head: the loss over classes, and evaluations by the scores that people compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from predictor.finetune.heads import HeadLearning, HeadTrainer, headed_dataset
from predictor.models.head import head_outputs
from predictor.models.reading import LabelledRow, class_loss, class_probabilities

if TYPE_CHECKING:
    from predictor.finetune.heads import Scores
    from predictor.models.base_model import BaseModel


class ClassTrainer(HeadTrainer):
    """A trainer of a head that says classes.

    Args:
        class_weights: what a row of each class weighs in the loss, (classes,), 1 on average over rows; None for 1.
        arguments: as in :class:`~predictor.finetune.heads.HeadTrainer`; `scores` gets probabilities, (rows, classes).
    """

    def __init__(self, *, class_weights: np.ndarray | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross-entropy over classes in nats, the sum over rows by `num_items_in_batch`."""
        scores = head_outputs(model, inputs["input_ids"], inputs["attention_mask"]).float()
        weights = None if self._weights is None else self._weights.to(scores.device)
        loss = torch.nn.functional.cross_entropy(scores, inputs["labels"], weights, reduction="sum")
        loss = loss / (len(scores) if num_items_in_batch is None else num_items_in_batch)
        return (loss, {"logits": scores}) if return_outputs else loss

    def look(self) -> tuple[np.ndarray, float]:
        """Probabilities of the development rows, (rows, classes), and the loss in nats per row."""
        found = class_probabilities(self.model, self.processing_class, self._dev_rows)
        return found, class_loss(found, np.array([row.label for row in self._dev_rows]))


class Classes(HeadLearning):
    """Learning the classes of labelled rows with a head.

    Args:
        classes: how many there are.
        balanced: classes weigh as if all had as many rows.
        scores: from probabilities, (rows, classes), to what is reported beside the loss.
        metric: by which the outcome is chosen; None keeps the last weights.
    """

    trainer = ClassTrainer

    def __init__(self, classes: int, *, balanced: bool, scores: Scores, metric: str | None) -> None:
        super().__init__(scores=scores, metric=metric)
        self._classes = classes
        self._balanced = balanced

    def arguments(
        self, told: dict[str, Any], base: BaseModel, rows: Sequence[Any], dev_rows: Sequence[Any]
    ) -> dict[str, Any]:
        """The trainer's arguments, from those that TRL's trainer would get."""
        weights = balanced_weights(rows, self._classes) if self._balanced else None
        return {**super().arguments(told, base, rows, dev_rows), "class_weights": weights}

    def learnt(self, row: LabelledRow) -> int:
        """The position of the row's class."""
        return row.label


def labelled_dataset(rows: Sequence[LabelledRow]) -> Any:
    """Rows with classes as a tokenized dataset."""
    return headed_dataset(rows, lambda row: row.label)


def balanced_weights(rows: Sequence[LabelledRow], classes: int) -> np.ndarray:
    """N / (classes that occur × rows of the class), (classes,), 0 where a class has no row: 1 on average over rows."""
    counts = np.bincount([row.label for row in rows], minlength=classes).astype(float)
    occurring = int((counts > 0).sum())
    return np.divide(len(rows), occurring * counts, out=np.zeros(classes), where=counts > 0)
