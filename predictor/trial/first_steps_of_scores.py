"""What the train tier of the probe sees of a model with a head that gives scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.models.base_model import BaseModel
from predictor.models.reading import LabelledRow
from predictor.models.scorer import MISSING, share_loss, squared_errors, told_shares
from predictor.probe import Marks
from predictor.trial.first_steps_of_heads import FirstStepsOfHead, Seen

if TYPE_CHECKING:
    import torch


class FirstStepsOfScores(FirstStepsOfHead):
    """Watches for the scores of the development slice; a loss is the mean squared error, as shares of the range.

    Args:
        scores: from outputs of the slice, (rows, dimensions), to scores of which one is the headline.
    """

    def __init__(
        self,
        steps: int,
        base: BaseModel,
        headline: str,
        dev_rows: Sequence[LabelledRow],
        scores: Callable[[np.ndarray], Mapping[str, float]],
    ) -> None:
        super().__init__(steps, base, headline, dev_rows)
        self._scores_of = scores
        shares = np.array([row.scores for row in dev_rows], dtype=float)
        self._known = int(np.isfinite(shares).sum())
        self._shares = np.where(np.isfinite(shares), shares, MISSING)

    def said(self, model: Any) -> np.ndarray:
        """Outputs, (rows, dimensions)."""
        return told_shares(model, self._base.tokenizer, self._dev_rows)

    def loss(self, said: np.ndarray) -> float:
        """Mean squared error over the scores that the rows have."""
        return share_loss(said, self._dev_rows)

    def part_of_loss(self, outputs: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
        """Squared errors of some rows over the number of all scores."""
        import torch

        shares = torch.tensor(self._shares[list(places)], device=outputs.device, dtype=outputs.dtype)
        return squared_errors(outputs, shares) / self._known

    def seen(self, before: np.ndarray, after: np.ndarray) -> Seen:
        """The loss and the headline. Numbers have no first choice and no likelihood, so that the rest is NaN."""
        return Seen(Marks(share_loss(after, self._dev_rows)), self._scores_of(after)[self._headline])
