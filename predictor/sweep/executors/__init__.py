"""Where the jobs of a sweep run. Another executor (Ray, Slurm) is one more file and one more line here."""

from predictor.sweep.executors.base import EXECUTORS, Executor, Work
from predictor.sweep.executors.inline import InlineExecutor
from predictor.sweep.executors.process import ProcessExecutor

EXECUTORS.add("inline", InlineExecutor)
EXECUTORS.add("process", ProcessExecutor)

__all__ = ["EXECUTORS", "Executor", "InlineExecutor", "ProcessExecutor", "Work"]
