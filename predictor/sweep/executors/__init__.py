"""Where the jobs of a sweep run. A further engine is one file here, which registers itself."""

from predictor.catalog import discover
from predictor.sweep.executors.base import EXECUTORS, Executor, Work

discover(__name__, __path__)

__all__ = ["EXECUTORS", "Executor", "Work"]
