"""The cheapest tier: what can be read off the rows without any model."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.data.example import Example
from predictor.probe import duplicates, form, grounding, lengths, wording
from predictor.probe.feature import measure
from predictor.probe.texts import READ_ROWS, read
from predictor.tasks import Task

GROUPS = (duplicates, grounding, lengths, wording, form)
"""The modules whose features this tier holds; importing them registers the features."""


def static_features(
    examples: Sequence[Example], task: Task, most: int = READ_ROWS, dev: Sequence[Example] = ()
) -> dict[str, float]:
    """The features of tier `static` by name; NaN where a feature does not exist for these rows.

    Args:
        examples: the training rows.
        task: says what the prompt and the answer of a row are.
        most: rows that are read closely; size and exact duplicates are counted over all.
        dev: the development slice: questions of the task with their answers, none of which is scored.

    Raises:
        DataError: no rows.
    """
    return measure("static", read(examples, task, most, dev))
