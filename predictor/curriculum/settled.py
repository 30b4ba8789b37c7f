"""Settings that a task finds in its rows, found once for fine-tunes on parts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from predictor.config.sections import settings_class
from predictor.data.example import Example
from predictor.tasks import TASKS, configured


def settled_settings(
    kind: str, settings: Mapping[str, Any], train: Sequence[Example], evaluation: Sequence[Example]
) -> dict[str, Any]:
    """The settings of a task with what it finds in the rows; as they are of a task that finds nothing.

    Raises:
        DataError: the rows as a whole are not what the task can use.
    """
    task: Any = configured(kind, settings_class(TASKS.get(kind))(**settings))
    usable = [[each for each in rows if task.accepts(each) is None] for rows in (train, evaluation)]
    # Where no row can be used, the fine-tune says why.
    found = task.settled(*usable) if hasattr(task, "settled") and all(usable) else {}
    return {**settings, **found}
