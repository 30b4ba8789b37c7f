"""What a dataset has in common with the set that it will be evaluated on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from predictor.data.example import Example
from predictor.data.fingerprint import row_hash, text_hash
from predictor.data.nearrows import NearRows


class EvaluationIndex:
    """Prompts, passages and answers of an evaluation set, exactly and (prompts and passages) nearly.

    Args:
        limit: rows of the dataset that are compared nearly; all are compared exactly. 0 compares all nearly.
    """

    def __init__(self, examples: Sequence[Example], threshold: float, limit: int) -> None:
        self._prompts = {row_hash(example) for example in examples}
        self._contexts = {text_hash(example.context) for example in examples if example.context}
        self._answers = {text_hash(answer) for example in examples for answer in example.answers}
        self._near_rows = NearRows(threshold)
        for row, example in enumerate(examples):
            self._near_rows.insert(example, row, int(text_hash(example.context), 16) if example.context else row)
        self._limit = limit
        self._rows = self._looked_at = 0
        self._shared = {"prompts": 0, "near_prompts": 0, "contexts": 0, "near_contexts": 0, "answers": 0}

    def add(self, example: Example, digits: str) -> None:
        """Compare a row with the evaluation set; `digits` is its row hash."""
        shared = self._shared
        same_prompt = digits in self._prompts
        same_context = bool(example.context) and text_hash(example.context or "") in self._contexts
        shared["prompts"] += same_prompt
        shared["contexts"] += same_context
        shared["answers"] += any(text_hash(answer) in self._answers for answer in example.answers)
        if not self._limit or self._rows < self._limit:
            self._looked_at += 1
            near_context, near_prompt = self._near_rows.matches(example)
            shared["near_contexts"] += near_context and not same_context
            shared["near_prompts"] += near_prompt and not same_prompt
        self._rows += 1

    def figures(self) -> dict[str, Any]:
        """Counts of rows, and rates over all rows; a rate of prompts or contexts counts near ones in."""
        rows = max(1, self._rows)
        shared = self._shared
        return {
            **shared,
            "prompt_rate": (shared["prompts"] + shared["near_prompts"]) / rows,
            "context_rate": (shared["contexts"] + shared["near_contexts"]) / rows,
            "answer_rate": shared["answers"] / rows,
            "near_looked_at": self._looked_at,
        }
