"""What doing well means: how an example is put to a chat model and how its answer is scored.

Every file of this folder that defines a task registers it itself; a new task is one more file.
"""

from __future__ import annotations

import importlib
import pkgutil

from predictor.tasks.base import TASKS, Task, TaskScores, headline_target, register, reported

__all__ = ["TASKS", "Task", "TaskScores", "headline_target", "register", "reported"]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
