"""Imported first in the process that all workers are forked from, before the slow libraries.

Nothing is computed there: a process that has used its threads or a GPU cannot be forked.
"""

from __future__ import annotations

from predictor import environment

environment.prepare()
environment.quiet_libraries()

IMPORTS = (
    "predictor.sweep.warm",
    "mlflow",
    "sqlalchemy.dialects.sqlite",
    "matplotlib.figure",
    "peft.peft_model",
    "transformers.models.qwen2.modeling_qwen2",
    "trl.trainer.sft_trainer",
    "predictor.trial.trial",
    "predictor.report.learning_curve",
    "predictor.tracking",
    "predictor.flows.finetune",
)
"""Modules of a fine-tune whose import takes long, in order; one that cannot be imported is left to the worker."""
