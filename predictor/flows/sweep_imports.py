"""The slow imports of a fine-tune, made once in the process that all workers of a sweep are forked from.

Nothing is computed here: a process that has used its threads or a GPU cannot be forked.
"""

from __future__ import annotations

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import matplotlib.figure  # noqa: E402, F401
import mlflow  # noqa: E402, F401
import sqlalchemy.dialects.sqlite  # noqa: E402, F401
from peft import LoraConfig, get_peft_model  # noqa: E402, F401
from transformers import AutoModelForCausalLM, Qwen2ForCausalLM  # noqa: E402, F401
from trl import SFTConfig, SFTTrainer  # noqa: E402, F401

import predictor.flows.finetune  # noqa: E402
import predictor.flows.look  # noqa: E402
import predictor.report.learning_curve  # noqa: E402
import predictor.tracking  # noqa: E402, F401
