"""How rows become what a trainer learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from predictor.models.render import RenderedRow

IGNORED = -100
"""The label of a token that is not learnt."""


def as_dataset(rows: Sequence[RenderedRow]) -> Any:
    """Rows as the tokenized dataset that SFTTrainer takes: what is read but not learnt is masked out of the labels."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [row.prompt_ids + row.completion_ids for row in rows],
            "labels": [_labels(row) for row in rows],
            "length": [row.length for row in rows],
        }
    )


def _labels(row: RenderedRow) -> list[int]:
    labels = [IGNORED] * len(row.prompt_ids)
    for begin, end in row.earlier:
        labels[begin:end] = row.prompt_ids[begin:end]
    return labels + row.completion_ids
