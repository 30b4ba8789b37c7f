"""One LoRA fine-tune: rendered rows and Hj in, a trained model out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictor.config import Hyperparameters
from predictor.errors import ConfigError
from predictor.finetune.base_model import BaseModel
from predictor.finetune.memory import choose_checkpointing
from predictor.finetune.plan import lora_arguments, plan_training, sft_arguments
from predictor.finetune.render import RenderedRow

if TYPE_CHECKING:
    from predictor.finetune.watch import OnLog, StepObserver

IGNORED = -100
"""The label of a token that is not learnt."""


@dataclass
class Tuned:
    """The outcome of a fine-tune.

    Attributes:
        model: the PEFT model, in evaluation mode.
        steps: optimizer steps taken.
        seconds: of training, the observer's own work included.
        tokens: trained on, prompts included.
        trainable_parameters, total_parameters: numbers of weights.
    """

    model: Any
    steps: int
    seconds: float
    tokens: int
    trainable_parameters: int
    total_parameters: int


def train(
    base: BaseModel,
    rows: Sequence[RenderedRow],
    hp: Hyperparameters,
    *,
    seed: int,
    on_log: OnLog,
    dev_rows: Sequence[RenderedRow] = (),
    observer: StepObserver | None = None,
    stop_after: int | None = None,
) -> Tuned:
    """Fine-tune the base model in place.

    Args:
        rows: training rows, none longer than hp.max_length.
        dev_rows: the eval/loss curve is their mean loss; never used to choose anything.
        observer: watches the first steps.
        stop_after: stop after this many steps of the full schedule.

    Raises:
        TrainingError: the loss is not a number, or the fine-tune does not fit the device.
        ConfigError: target_modules names no module of the model.
    """
    from transformers import set_seed
    from trl import SFTConfig, SFTTrainer

    from predictor.finetune.watch import Watch

    plan = plan_training(hp, len(rows), base.device)
    longest = max(row.length for row in rows)
    checkpointing = choose_checkpointing(
        base.model.config, hp, base.device, rows=plan.per_device_batch_size, tokens=longest
    )
    # Before the LoRA layers are made: their random matrices are part of the result.
    set_seed(seed)
    model = add_lora(base.model, hp)
    with tempfile.TemporaryDirectory(prefix="predictor-train-") as folder:
        arguments = sft_arguments(hp, plan, base.device, seed=seed, output_dir=folder, checkpointing=checkpointing)
        if not dev_rows:
            arguments["eval_strategy"] = "no"
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**arguments),
            train_dataset=as_dataset(rows),
            eval_dataset=as_dataset(dev_rows) if dev_rows else None,
            processing_class=base.tokenizer,
            callbacks=[Watch(on_log, observer, stop_after)],
        )
        trainer.pop_callback(_printer())
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    model.eval()
    trainable, total = model.get_nb_trainable_parameters()
    return Tuned(model, int(trainer.state.global_step), seconds, _tokens(trainer), trainable, total)


def add_lora(model: Any, hp: Hyperparameters) -> Any:
    """The model with LoRA matrices.

    Raises:
        ConfigError: target_modules names no module of the model.
    """
    from peft import LoraConfig, get_peft_model

    try:
        return get_peft_model(model, LoraConfig(**lora_arguments(hp)))
    except ValueError as error:
        import torch

        linear = sorted({n.rsplit(".", 1)[-1] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)})
        raise ConfigError(
            f"target_modules='{hp.target_modules}' does not fit the base model: {error}",
            where="-P target_modules",
            rule=f"'all-linear', or names out of: {', '.join(linear)}",
        ) from error


def as_dataset(rows: Sequence[RenderedRow]) -> Any:
    """Rows as the tokenized dataset that SFTTrainer takes: prompts masked out of the labels."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [row.prompt_ids + row.completion_ids for row in rows],
            "labels": [[IGNORED] * len(row.prompt_ids) + row.completion_ids for row in rows],
            "length": [row.length for row in rows],
        }
    )


def save_adapter(model: Any, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`, which plain PEFT loads."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(folder), safe_serialization=True)


def _printer() -> type:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


def _tokens(trainer: Any) -> int:
    return int(trainer._total_train_tokens)
