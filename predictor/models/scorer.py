"""A base model with a head that gives scores: each output is a share of their range, of one dimension.

The head is a classifier's (:mod:`predictor.models.classifier`), put on, drawn, saved and read back in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from predictor.errors import ModelError
from predictor.models.classifier import open_saved
from predictor.models.device import Device
from predictor.models.reading import NO_CLASS, LabelledRow, read_off, read_texts
from predictor.tasks.scored.form import text_for_head
from predictor.tasks.scored.scale import scores_of

MISSING: Final = -100.0
"""What stands in a batch for a score that is not there: the number by which transformers knows what is not learnt."""


def told_shares(
    model: Any, tokenizer: Any, rows: Sequence[LabelledRow], *, on_batch: Callable[[int], None] = lambda rows: None
) -> np.ndarray:
    """The head's outputs, (rows, dimensions), float64: shares of the range, which may lie outside of [0, 1]."""
    return read_off(model, tokenizer, rows, lambda outputs: outputs, on_batch=on_batch)


def squared_errors(outputs: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Sum of the squared errors of outputs, (rows, dimensions), where `shares`, as many, are not :data:`MISSING`."""
    known = shares != MISSING
    return torch.where(known, outputs - shares, torch.zeros_like(outputs)).square().sum()


def share_loss(told: np.ndarray, rows: Sequence[LabelledRow]) -> float:
    """Mean squared error over the scores that rows have, as shares of the range; of outputs, (rows, dimensions)."""
    return float(np.nanmean((told - np.array([row.scores for row in rows])) ** 2))


@dataclass
class Scorer:
    """A trained model that gives scores, loaded.

    Attributes:
        dimensions: what it scores, in the order of its outputs.
        low, high: of the scores.
        max_length: tokens of a text that are read.
    """

    model: Any
    tokenizer: Any
    dimensions: list[str]
    low: float
    high: float
    max_length: int

    def predict(self, texts: Sequence[str], prompt: str = "") -> list[dict[str, float]]:
        """Dimension → score of each text, within the range.

        Args:
            prompt: what stood before the texts in training; empty where they hold it themselves.
        """
        around = [text_for_head(prompt, text) for text in texts] if prompt else None
        nothing = [NO_CLASS] * len(texts), [""] * len(texts)
        rows = read_texts(texts, *nothing, self.tokenizer, self.max_length, around)
        found = scores_of(told_shares(self.model, self.tokenizer, rows), self.low, self.high)
        return [dict(zip(self.dimensions, map(float, row), strict=True)) for row in found]


def load_scorer(folder: str | Path, device: Device, base: str = "") -> Scorer:
    """The model with a head that a fine-tune of `task=scoring` has left, with all weights or as an adapter.

    Args:
        base: folder or hub id of the base model that the adapter belongs to; empty for the one that it names.

    Raises:
        ModelError: the folder holds none, or the base is absent or another.
    """
    found = open_saved(folder, device, base)
    if found.bounds is None:
        raise ModelError(
            f"the model says classes ({', '.join(found.labels[:5])}) and gives no scores",
            where=str(folder),
            rule="what a fine-tune of task=scoring with head=regression or head=linear_regression leaves",
            fix="load it with predictor.models.classifier.load_saved",
        )
    return Scorer(found.model, found.tokenizer, found.labels, *found.bounds, found.max_length)
