"""What other tools call the same things: configuration files that people bring are read as they are.

Only names are translated here, and of few keys the value; what a key means, its parameter knows. A key that is neither
ours nor one of these is refused as any unknown one is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from predictor.config.fields import Parameter, coerce
from predictor.config.names import HELD_OUT
from predictor.config.sections import Given
from predictor.errors import ConfigError

SECTIONS: Final[Mapping[str, str]] = {
    "peft": "lora",
    "lora_config": "lora",
    "train": "training",
    "trainer": "training",
    "training_args": "training",
    "training_arguments": "training",
    "eval": "evaluation",
}
"""Section as others call it → ours."""

ANYWHERE: Final[Mapping[str, str]] = {
    "model_name_or_path": "base_model",
    "pretrained_model_name_or_path": "base_model",
    "model_name": "base_model",
    "train_file": "dataset",
    "train_dataset": "dataset",
    "dataset_path": "dataset",
    "data_path": "dataset",
    "eval_file": "eval_dataset",
    "validation_file": "eval_dataset",
    "val_file": "eval_dataset",
    "val_size": "eval_dataset",
    "val_set_size": "eval_dataset",
    "max_samples": "train_limit",
    "max_train_samples": "train_limit",
    "max_eval_samples": "eval_limit",
    "finetuning_type": "method",
    "lora_rank": "lora_r",
    "lora_target": "target_modules",
    "lora_target_modules": "target_modules",
    "num_train_epochs": "epochs",
    "num_epochs": "epochs",
    "train_batch_size": "batch_size",
    "lr": "learning_rate",
    "lr_scheduler_type": "lr_scheduler",
    "cutoff_len": "max_length",
    "max_seq_length": "max_length",
    "max_seq_len": "max_length",
    "sequence_len": "max_length",
    "save_steps": "checkpoint_steps",
    "random_seed": "seed",
}
"""Key as others call it, with or without a section → our parameter."""

INSIDE: Final[Mapping[tuple[str, str], str]] = {
    ("model", "name"): "base_model",
    ("model", "path"): "base_model",
    ("model", "id"): "base_model",
    ("model", "base"): "base_model",
    ("model", "max_length"): "max_length",
    ("data", "path"): "dataset",
    ("data", "train"): "dataset",
    ("data", "eval"): "eval_dataset",
    ("data", "validation"): "eval_dataset",
    ("data", "eval_dataset"): "eval_dataset",
    ("data", "max_length"): "max_length",
    ("lora", "rank"): "lora_r",
    ("lora", "target"): "target_modules",
    ("lora", "modules"): "target_modules",
    ("training", "scheduler"): "lr_scheduler",
    ("training", "patience"): "early_stopping_patience",
    ("training", "seed"): "seed",
}
"""(our section, key that means this only there) → our parameter."""

_EACH_DEVICE: Final = ("per_device_train_batch_size", "micro_batch_size")
_ACCUMULATION: Final = "gradient_accumulation_steps"
PARTS: Final = (*_EACH_DEVICE, _ACCUMULATION)
"""Of a batch: kept apart until the whole file is read, as :func:`whole_batch` takes them."""


def translated(key: str, section: str, known: Mapping[str, Parameter]) -> str | None:
    """Our name for a key of a section (empty: of none); None when it has none that is known."""
    if key in PARTS and "batch_size" in known:
        return key
    name = INSIDE.get((section, key)) or ANYWHERE.get(key)
    return name if name in known else None


def spellings(known: Mapping[str, Parameter]) -> list[str]:
    """All keys that others use for parameters that are known."""
    return [key for key, name in ANYWHERE.items() if name in known]


def value_of(key: str, value: Any) -> Any:
    """The value of a key that others write in another way."""
    change = _VALUES.get(key)
    return change(value) if change else value


def whole_batch(given: dict[str, Given], known: Mapping[str, Parameter]) -> None:
    """Put `batch_size` in the place of its parts: rows on a device, and passes whose gradients are added up.

    Elsewhere a batch is what one pass takes on each device, here what one optimizer step sees: where `given` holds
    `gradient_accumulation_steps`, a `batch_size` beside it is one pass.

    Raises:
        ConfigError: passes without the size of one, two sizes, or parts that do not make the batch that is given.
    """
    sizes = [given.pop(name) for name in _EACH_DEVICE if name in given]
    passes = given.pop(_ACCUMULATION, None)
    if not sizes and passes is None:
        return
    if len(sizes) > 1:
        raise ConfigError(
            f"{' and '.join(_EACH_DEVICE)} are given together", where=sizes[1].where, rule="one size of a pass"
        )
    one = sizes[0] if sizes else given.get("batch_size")
    if one is None:
        where = passes.where if passes else None
        raise ConfigError(
            f"{_ACCUMULATION} is given without the size of a batch",
            where=where,
            rule="batch_size is the number of examples in one optimizer step",
            fix=f"give batch_size alone, or {_EACH_DEVICE[0]} beside it",
        )
    rows = coerce(known["batch_size"], one.value, one.where)
    times = coerce(known["batch_size"], passes.value, passes.where) if passes is not None else 1
    if sizes and "batch_size" in given:
        whole = given["batch_size"]
        if coerce(known["batch_size"], whole.value, whole.where) != rows * times:
            raise ConfigError(
                f"batch_size={whole.value} is not {rows} rows × {times} passes",
                where=whole.where,
                rule="batch_size is the number of examples in one optimizer step",
                fix=f"leave it out, or give batch_size={rows * times}",
            )
    given["batch_size"] = Given(rows * times, one.where)
    if "per_device_batch_size" in known:
        given.setdefault("per_device_batch_size", Given(rows, one.where))


def _share(value: Any) -> Any:
    return f"{HELD_OUT}:{value}"


def _modules(value: Any) -> Any:
    return "all-linear" if value in ("all", ["all"]) else value


_VALUES: Final[Mapping[str, Callable[[Any], Any]]] = {
    "val_size": _share,
    "val_set_size": _share,
    "lora_target": _modules,
    "target_modules": _modules,
    "target": _modules,
}
