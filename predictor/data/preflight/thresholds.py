"""The limits beyond which pre-flight fails, and the check of figures against them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Thresholds:
    """Limits as fractions of the accepted rows. A figure that was not measured fails nothing.

    Attributes:
        max_masked: rows of whose completion nothing is left at `max_length`: nothing could be learned from them.
        max_cut: rows whose completion is cut at `max_length`.
        max_duplicates: rows that repeat an earlier row exactly, answer included.
        max_near_duplicates: rows whose input nearly repeats that of an earlier row, exact repeats included.
        max_eval_prompts: rows whose prompt is one of the evaluation set's.
        max_eval_contexts: rows whose passage is one of the evaluation set's.
        max_same_answer: rows that give the commonest answer (of free answers, not labels).
        max_empty_answers: rows without an answer (unanswerable questions).
        max_one_label: rows of the commonest label.
    """

    max_masked: float = 0.0
    max_cut: float = 0.05
    max_duplicates: float = 0.5
    max_near_duplicates: float = 0.8
    max_eval_prompts: float = 0.01
    max_eval_contexts: float = 0.1
    max_same_answer: float = 0.9
    max_empty_answers: float = 0.7
    max_one_label: float = 0.95


_FIGURES: Mapping[str, tuple[str, str, str]] = {
    "max_masked": ("tokens", "masked_rate", "rows are wholly masked: their prompt alone fills max_length"),
    "max_cut": ("tokens", "cut_rate", "rows lose the end of their completion at max_length"),
    "max_duplicates": ("duplicates", "exact_rate", "rows repeat an earlier row"),
    "max_near_duplicates": ("duplicates", "near_rate", "rows nearly repeat an earlier row"),
    "max_eval_prompts": ("overlap", "prompt_rate", "rows ask what the evaluation set asks"),
    "max_eval_contexts": ("overlap", "context_rate", "rows read a passage of the evaluation set"),
    "max_same_answer": ("answers", "commonest_rate", "rows give one and the same answer"),
    "max_empty_answers": ("answers", "empty_rate", "rows have no answer"),
    "max_one_label": ("labels", "commonest_rate", "rows carry one and the same label"),
}


def failures(figures: Mapping[str, Any], thresholds: Thresholds) -> list[str]:
    """One sentence for each figure beyond its limit; empty when the dataset passes."""
    found = []
    for field in dataclasses.fields(thresholds):
        section, figure, words = _FIGURES[field.name]
        rate = (figures.get(section) or {}).get(figure)
        limit = getattr(thresholds, field.name)
        if rate is not None and rate > limit:
            found.append(f"{rate:.1%} of the {words} (at most {limit:.1%}: {field.name})")
    return found
