"""What doing well means: how an example is put to a chat model and how its answer is scored."""

from __future__ import annotations

from predictor.catalog import Catalog
from predictor.tasks.base import Task, TaskScores
from predictor.tasks.qa import QuestionAnswering

__all__ = ["TASKS", "Task", "TaskScores"]

TASKS: Catalog[Task] = Catalog("task")
"""The tasks by the names that `-P task=…` accepts."""

TASKS.add("qa", QuestionAnswering())
