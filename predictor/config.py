"""Typed configuration: what each entry point accepts, with type, unit, rule and default in one place."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from predictor.catalog import did_you_mean
from predictor.errors import ConfigError

C = TypeVar("C")

LAB = "lab"
TIERS = ("static", "embed", "forward", "train")
"""Price tiers of the probe, cheapest first."""
WITHOUT_EFFECT = ("checkpoint_steps", "checkpoint_dir")
"""Fields of :class:`FinetuneConfig` that change how a fine-tune is run, but no number of its result."""


def param(default: Any, help: str, **rule: Any) -> Any:
    """A field with its one-line effect (and unit), and the rule that its value must keep.

    Rules: `above` (exclusive), `least` and `most` (inclusive) for numbers; `choices` for text; `entries` for each
    entry of a comma-separated list.
    """
    return dataclasses.field(default=default, metadata={"help": help, **rule})


@dataclass(frozen=True)
class Hyperparameters:
    """Hj: the hyperparameters of one LoRA fine-tune, under their peft and TRL names. Logged as `hp/<field>`."""

    learning_rate: float = param(3e-4, "peak learning rate of AdamW", above=0.0, most=10.0)
    lora_r: int = param(8, "rank of the LoRA matrices", least=1, most=1024)
    lora_alpha: int = param(32, "LoRA scale; the update is multiplied by lora_alpha / lora_r", least=1)
    lora_dropout: float = param(0.1, "dropout before the LoRA matrices, a fraction", least=0.0, most=0.9)
    target_modules: str = param("all-linear", "modules that get LoRA: 'all-linear' or names separated by commas")
    batch_size: int = param(64, "examples in one optimizer step, over all devices and accumulation", least=1)
    per_device_batch_size: int = param(
        0, "examples in one forward pass; 0 chooses 8 on a GPU and up to 64 on a CPU", least=0
    )
    epochs: float = param(3.0, "passes over the training rows", above=0.0, most=1000.0)
    max_steps: int = param(0, "optimizer steps; 0 lets epochs decide", least=0)
    warmup_ratio: float = param(0.03, "share of the steps in which the learning rate rises", least=0.0, most=1.0)
    lr_scheduler: str = param(
        "cosine",
        "shape of the learning rate after warm-up",
        choices=("cosine", "linear", "constant", "constant_with_warmup"),
    )
    weight_decay: float = param(0.0, "decoupled weight decay of AdamW", least=0.0, most=1.0)
    max_length: int = param(1024, "tokens of prompt and completion together; longer rows are refused", least=8)
    early_stopping_patience: int = param(
        0,
        "end after so many evaluations of eval/loss without a new best, and keep the best weights; 0 trains to the end "
        "and keeps the last",
        least=0,
    )


@dataclass(frozen=True)
class FinetuneConfig(Hyperparameters):
    """Everything that determines one fine-tune: the dataset Di, the evaluation, the base model M, Hj and the seed."""

    dataset: str = param(
        "lab:size:dial=512:seed=1", "training data: a file, a folder, a hub id, or lab:FAMILY:dial=…:size=…:seed=…"
    )
    eval_dataset: str = param("lab:evaluation", "evaluation data, in the same forms as dataset")
    task: str = param("qa", "what doing well means; qa scores exact match and F1 as SQuAD does")
    base_model: str = param(
        LAB, "base model: lab (embedded), a folder, or a hub id such as Qwen/Qwen2.5-7B-Instruct-1M"
    )
    train_limit: int = param(0, "use only this many training rows, drawn by seed; 0 uses all", least=0)
    eval_limit: int = param(1000, "questions that are scored; 0 scores all", least=0)
    dev_limit: int = param(
        64, "questions of the evaluation file set aside, never scored, for the zero-shot and early scores", least=0
    )
    seed: int = param(1, "seeds the data order, the LoRA matrices and dropout", least=0)
    probe_steps: int = param(10, "optimizer steps that the train tier of the probe watches", least=2)
    tiers: str = param(",".join(TIERS), "price tiers of the probe, separated by commas", entries=TIERS)
    checkpoint_steps: int = param(
        0,
        "optimizer steps between checkpoints, from which the same fine-tune goes on when it was cut off; 0 writes none",
        least=0,
    )
    checkpoint_dir: str = param("checkpoints", "folder for checkpoints; each fine-tune has its own in it")

    @property
    def hyperparameters(self) -> Hyperparameters:
        return Hyperparameters(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Hyperparameters)})

    @property
    def tier_list(self) -> tuple[str, ...]:
        """The chosen tiers, cheapest first."""
        chosen = split_list(self.tiers)
        return tuple(tier for tier in TIERS if tier in chosen)


def parameters(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of a configuration as people read them: its own first, then those that it inherits."""
    own = inspect.get_annotations(cls)
    fields = dataclasses.fields(cls)
    return tuple(sorted(fields, key=lambda field: field.name not in own))


def split_list(text: str) -> tuple[str, ...]:
    """The entries of a comma-separated parameter, without blanks."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def from_strings(cls: type[C], values: Mapping[str, str]) -> C:
    """A configuration from the text of a command line; an empty text means the default.

    Raises:
        ConfigError: an unknown name (with the nearest known one), a text that is not of the field's type, or a value
            that breaks the field's rule.
    """
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    parsed: dict[str, Any] = {}
    for name, text in values.items():
        if name not in known:
            raise ConfigError(
                f"unknown parameter '{name}'",
                where=f"-P {name}={text}",
                rule=f"parameters: {', '.join(known)}",
                fix=did_you_mean(name, known),
            )
        if text is None or text == "":
            continue
        parsed[name] = _parse(name, text, hints[name])
    config = cls(**parsed)
    check(config)
    return config


def _parse(name: str, text: str, hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if hint is bool:
        if text.lower() in ("true", "yes", "1", "on"):
            return True
        if text.lower() in ("false", "no", "0", "off"):
            return False
        raise ConfigError(f"{name}={text!r} is not true or false", where=f"-P {name}", rule="true or false")
    if hint in (int, float):
        try:
            number = float(text)
            if hint is int and number != int(number):
                raise ValueError
        except (ValueError, OverflowError):
            kind = "a whole number" if hint is int else "a number"
            raise ConfigError(
                f"{name}={text!r} is not {kind}", where=f"-P {name}", rule=f"{name} takes {kind}, such as 3 or 3.0e-4"
            ) from None
        return hint(number)
    return text


def check(config: Any) -> None:
    """Raise ConfigError for the first field that breaks its rule."""
    for f in dataclasses.fields(config):
        value, rule = getattr(config, f.name), f.metadata
        broken = None
        if isinstance(value, float) and not math.isfinite(value):
            broken = "a finite number"
        elif "above" in rule and not value > rule["above"]:
            broken = f"above {rule['above']:g}"
        elif "least" in rule and not value >= rule["least"]:
            broken = f"at least {rule['least']:g}"
        elif "most" in rule and not value <= rule["most"]:
            broken = f"at most {rule['most']:g}"
        if broken:
            raise ConfigError(
                f"{f.name}={value:g} is out of range",
                where=f"-P {f.name}",
                rule=f"{f.name} ({rule['help']}) must be {broken}",
                fix=f"the default is {f.default!r}",
            )
        choices = rule.get("choices")
        if choices and value not in choices:
            raise ConfigError(
                f"{f.name}='{value}' is unknown",
                where=f"-P {f.name}",
                rule=f"one of: {', '.join(choices)}",
                fix=did_you_mean(str(value), choices),
            )
        for entry in split_list(value) if "entries" in rule else ():
            if entry not in rule["entries"]:
                raise ConfigError(
                    f"{f.name} has the unknown entry '{entry}'",
                    where=f"-P {f.name}={value}",
                    rule=f"entries: {', '.join(rule['entries'])}",
                    fix=did_you_mean(entry, rule["entries"]),
                )


def canonical_hash(values: Mapping[str, Any]) -> str:
    """A 16-digit digest of a mapping of JSON values; equal mappings give equal digests in any key order."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
