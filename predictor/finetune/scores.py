"""Fine-tuning a model with a head that gives scores: the squared error of those that a row has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.finetune.heads import HeadLearning, HeadTrainer
from predictor.models.head import head_outputs, start_at
from predictor.models.reading import LabelledRow
from predictor.models.scorer import MISSING, share_loss, squared_errors, told_shares

if TYPE_CHECKING:
    from predictor.finetune.heads import Scores


class ScoreTrainer(HeadTrainer):
    """A trainer of a head that gives scores; `scores` gets shares of the range, (rows, dimensions)."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Squared error of shares of the range, the sum over the scores that are there by `num_items_in_batch`.

        transformers counts for a step what is not :data:`~predictor.models.scorer.MISSING`, so that it is their mean.
        """
        shares = inputs["labels"]
        outputs = head_outputs(model, inputs["input_ids"], inputs["attention_mask"]).float()
        known = (shares != MISSING).sum() if num_items_in_batch is None else num_items_in_batch
        loss = squared_errors(outputs, shares) / known
        return (loss, {"logits": outputs}) if return_outputs else loss

    def look(self) -> tuple[np.ndarray, float]:
        """Outputs of the development rows, (rows, dimensions), and their mean squared error."""
        found = told_shares(self.model, self.processing_class, self._dev_rows)
        return found, share_loss(found, self._dev_rows)


class ScoreLearning(HeadLearning):
    """Learning the scores of rows with a head, each as a share of the range.

    Args:
        start: shares that the head begins near, by dimension: before the first step the best guess is a mean.
        scores: from outputs, (rows, dimensions), to what is reported beside the loss.
        metric: by which the outcome is chosen; None keeps the last weights.
    """

    trainer = ScoreTrainer

    def __init__(self, start: Sequence[float], *, scores: Scores, metric: str | None) -> None:
        super().__init__(scores=scores, metric=metric)
        self._start = start

    def begin(self, model: Any) -> None:
        """Draw the head, from the seed that was just set, and let it begin near the means."""
        super().begin(model)
        start_at(model, self._start)

    def learnt(self, row: LabelledRow) -> list[float]:
        """The row's scores by dimension, as transformers is told of those that are not there."""
        return [MISSING if np.isnan(share) else share for share in row.scores]
