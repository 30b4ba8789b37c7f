"""A fine-tune of a base of a few thousand weights on a few made-up rows: a second or two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.tiny import qa_rows, write_squad
from predictor.trial.config import FinetuneConfig, finetune_config


def small_config(base: Path, folder: Path, *, rows: int = 48, questions: int = 40, **values: Any) -> FinetuneConfig:
    """Its training and evaluation files are written into the folder; `values` are other parameters than these."""
    usual = {"eval_limit": 20, "dev_limit": 6, "learning_rate": 1e-2, "batch_size": 16}
    return finetune_config(
        dataset=str(write_squad(folder / "train.json", qa_rows(rows))),
        eval_dataset=str(write_squad(folder / "eval.json", qa_rows(questions, start=100))),
        base_model=str(base),
        **{**usual, **values},
    )
