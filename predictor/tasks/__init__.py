"""What doing well means: how an example is put to a chat model and how its answer is scored.

Every file of this folder that defines a task registers it itself; a new task is one more file.
"""

from __future__ import annotations

from predictor.catalog import discover
from predictor.tasks.base import TASKS, Task, TaskScores, configured, headline_target, register, reported

discover(__name__, __path__)

__all__ = ["TASKS", "Task", "TaskScores", "configured", "headline_target", "register", "reported"]
