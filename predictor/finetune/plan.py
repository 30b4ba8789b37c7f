"""Hj on given data and a given device, worked out before anything is loaded: steps, accumulation, checkpointing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from predictor.errors import ConfigError
from predictor.finetune.settings import Training
from predictor.models.device import Device

TOKENS: Final = "train/tokens"
"""Among the values of a step: tokens that were trained on so far, prompts included. It is no curve of a run."""
_CPU_ROWS = 64
_CUDA_ROWS = 8
_EVALUATIONS = 4
"""Points of the eval/loss curve after the first step."""


@dataclass(frozen=True)
class TrainingPlan:
    """How the optimizer steps of one fine-tune come about.

    Attributes:
        per_device_batch_size: rows that are brought to the device at once; `gradient_accumulation_steps` of them, on
            each of `processes` devices, make the global batch.
        max_steps: optimizer steps in all.
        warmup_steps: optimizer steps in which the learning rate rises.
        eval_steps: optimizer steps between two points of the eval/loss curve.
        early_points: further points before the first of these, at the ends of epochs 1, 2, 4, …: many epochs of few
            rows have their lowest loss there. None with early stopping, which counts evaluations.
        earliest_stop: optimizer steps that are taken in any case; fewer than `max_steps` only with early stopping.
        pass_tokens: tokens of one forward pass, padding included, into which these rows are divided; 0 lets all of them
            through in one.
        checkpointing: activations are recomputed in the backward pass to save memory.
        ordered: the rows come in the order in which they are given, which holds every epoch.
    """

    per_device_batch_size: int
    gradient_accumulation_steps: int
    max_steps: int
    warmup_steps: int
    eval_steps: int
    earliest_stop: int
    early_points: tuple[int, ...] = ()
    pass_tokens: int = 0
    checkpointing: bool = False
    ordered: bool = False


def plan_training(
    hp: Training,
    rows: int,
    device: Device,
    *,
    dev_rows: int = 0,
    processes: int = 1,
    presented: int = 0,
    evaluations: int = 0,
) -> TrainingPlan:
    """The plan for `rows` training rows.

    Args:
        presented: rows over all epochs, where they come in an order of the caller's; 0 leaves the order to the trainer.
        dev_rows: rows by whose loss early stopping decides.
        evaluations: points of the eval/loss curve after the first step, where they are more than usual.

    Raises:
        ConfigError: per_device_batch_size does not divide the global batch, or early stopping has nothing to look at.
    """
    check_early_stopping(hp, dev_rows)
    share, left = divmod(hp.batch_size, processes)
    if left:
        raise ConfigError(
            f"batch_size={hp.batch_size} cannot be shared by {processes} devices",
            where="-P batch_size",
            rule="the global batch is a multiple of the number of devices",
        )
    if hp.per_device_batch_size:
        per_device = hp.per_device_batch_size
        if share % per_device:
            raise ConfigError(
                f"per_device_batch_size={per_device} does not divide the batch of {share} rows on each device",
                where="-P per_device_batch_size",
                rule="batch_size = per_device_batch_size × gradient accumulation × devices",
                fix=f"set per_device_batch_size={largest_divisor(share, per_device)}, or 0 to let it be chosen",
            )
    else:
        per_device = largest_divisor(share, _CUDA_ROWS if device.kind == "cuda" else _CPU_ROWS)
    by_epochs = presented / hp.batch_size if presented else hp.epochs * math.ceil(rows / hp.batch_size)
    steps = hp.max_steps or math.ceil(by_epochs)
    eval_steps = max(1, math.ceil(steps / max(evaluations, _EVALUATIONS)))
    patience = hp.early_stopping_patience
    epoch = math.ceil((presented / hp.epochs if presented else rows) / hp.batch_size)
    doubled = [epoch << k for k in range(eval_steps.bit_length()) if epoch << k < eval_steps]
    return TrainingPlan(
        per_device_batch_size=per_device,
        gradient_accumulation_steps=share // per_device,
        max_steps=steps,
        warmup_steps=math.ceil(hp.warmup_ratio * steps),
        eval_steps=eval_steps,
        # The first evaluation is always the best so far.
        earliest_stop=min(steps, (patience + 1) * eval_steps) if patience else steps,
        early_points=() if patience else tuple(doubled),
        ordered=presented > 0,
    )


def check_early_stopping(hp: Training, dev_rows: int) -> None:
    """Raise ConfigError when a fine-tune should stop early but has no rows to tell by when."""
    if hp.early_stopping_patience and not dev_rows:
        raise ConfigError(
            f"early_stopping_patience={hp.early_stopping_patience}, but there are no development rows",
            where="-P early_stopping_patience",
            rule="early stopping looks at eval/loss, the loss on the development slice of the evaluation file",
            fix="set dev_limit above 0 and max_length so that its rows fit, or early_stopping_patience=0",
        )


def sft_arguments(hp: Training, plan: TrainingPlan, device: Device, *, seed: int, output_dir: str) -> dict[str, Any]:
    """Keyword arguments of TRL's `SFTConfig`.

    Every value that a result depends on is written here, because TRL's own defaults suit a GPU and change with its
    versions.
    """
    return {
        "output_dir": output_dir,
        # what is learnt
        "max_length": None,  # rows are refused, not cut, before they reach the trainer
        "packing": False,  # packed rows would change how many examples one step of `batch_size` sees
        "padding_free": device.flash_attention,
        "completion_only_loss": None,  # the labels are already masked
        "assistant_only_loss": False,
        "loss_type": "nll",
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "remove_unused_columns": False,
        # steps
        "per_device_train_batch_size": plan.per_device_batch_size,
        "per_device_eval_batch_size": plan.per_device_batch_size,
        "gradient_accumulation_steps": plan.gradient_accumulation_steps,
        "max_steps": plan.max_steps,
        "num_train_epochs": hp.epochs,
        "train_sampling_strategy": "sequential" if plan.ordered else "group_by_length",
        "length_column_name": "length",
        "dataloader_drop_last": False,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": device.kind == "cuda",
        "ddp_find_unused_parameters": False,  # of several processes; every trained weight is used in every pass
        "average_tokens_across_devices": True,
        # optimizer
        "optim": "adamw_torch_fused",
        "learning_rate": hp.learning_rate,
        "lr_scheduler_type": hp.lr_scheduler,
        "warmup_steps": plan.warmup_steps,
        "weight_decay": hp.weight_decay,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "max_grad_norm": 1.0,
        "label_smoothing_factor": 0.0,
        "neftune_noise_alpha": None,
        # arithmetic and memory
        "use_cpu": device.kind == "cpu",
        "bf16": device.bf16,
        "fp16": False,
        "tf32": None,
        "activation_checkpointing": plan.checkpointing,
        "activation_checkpointing_kwargs": {"use_reentrant": False} if plan.checkpointing else None,
        "activation_offloading": False,
        "torch_compile": False,
        # seeds
        "seed": seed,
        "data_seed": seed,
        "full_determinism": False,
        # what is written: our own callback logs every step, nothing else does
        "logging_strategy": "steps",
        "logging_steps": 1,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # a NaN loss must be seen
        "eval_strategy": "steps",
        "eval_steps": plan.eval_steps,
        "prediction_loss_only": True,
        "save_strategy": "no",
        "report_to": "none",
        "push_to_hub": False,
        "disable_tqdm": True,
        "skip_memory_metrics": True,
    }


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of a number that is at most `most`."""
    return next(d for d in range(min(number, most), 0, -1) if number % d == 0)
