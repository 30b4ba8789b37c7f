"""Many fine-tunes from one plan: what to run, in which order, and on which workers."""

from predictor.sweep.executors import EXECUTORS, Executor
from predictor.sweep.job import Job, Outcome
from predictor.sweep.plan import Plan, read_plan
from predictor.sweep.samplers import SAMPLERS, Sampler

__all__ = ["EXECUTORS", "SAMPLERS", "Executor", "Job", "Outcome", "Plan", "Sampler", "read_plan"]
