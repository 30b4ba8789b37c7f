"""LoRA: small matrices beside frozen ones (Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models")."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.config import param, split_list
from predictor.errors import ConfigError
from predictor.finetune.methods.base import METHODS, Footprint, Shapes
from predictor.models.shape import HEADS

_DECODER = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_ENCODER = ("query", "key", "value", "dense", "q_lin", "k_lin", "v_lin", "out_lin", "lin1", "lin2")


@dataclass(frozen=True)
class LoraSettings:
    """Section `lora`, under peft's names."""

    lora_r: int = param(8, "rank of the LoRA matrices", least=1, most=1024)
    lora_alpha: int = param(32, "LoRA scale; the update is multiplied by lora_alpha / lora_r", least=1)
    lora_dropout: float = param(0.1, "dropout before the LoRA matrices, a fraction", least=0.0, most=0.9)
    target_modules: str = param("all-linear", "modules that get LoRA: 'all-linear' or names separated by commas")


class Lora:
    """Trains the adapter's matrices only."""

    settings = LoraSettings
    folder = "adapter"

    def apply(self, model: Any, settings: LoraSettings) -> Any:
        """The model with LoRA matrices.

        Raises:
            ConfigError: target_modules names no module of the model.
        """
        from peft import LoraConfig, get_peft_model

        try:
            return get_peft_model(model, LoraConfig(**lora_arguments(settings) | head_arguments(model, settings)))
        except ValueError as error:
            import torch

            linear = sorted({n.rsplit(".", 1)[-1] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)})
            raise ConfigError(
                f"target_modules='{settings.target_modules}' does not fit the base model: {error}",
                where="-P target_modules",
                rule=f"'all-linear', or names out of: {', '.join(linear)}",
            ) from error

    def footprint(self, shapes: Shapes, outside: int, settings: LoraSettings) -> Footprint:
        """Two matrices of rank r beside each chosen module; each has a dropout of its own before it."""
        chosen = split_list(settings.target_modules)
        adapted = shapes if _everything(chosen) else {name: shapes[name] for name in chosen if name in shapes}
        inputs = sum(width for width, _ in adapted.values())
        parameters = sum(settings.lora_r * (a + b) for a, b in adapted.values())
        return Footprint(parameters, dropped_inputs=inputs if settings.lora_dropout else 0)

    def go_on(self, model: Any, weights: Path) -> None:
        """Set the matrices to those of an adapter's file.

        Raises:
            ConfigError: the adapter has other modules, or matrices of another rank.
        """
        from peft import get_peft_model_state_dict, set_peft_model_state_dict
        from safetensors.torch import load_file

        stored = load_file(weights)
        own = get_peft_model_state_dict(model)
        there, here = ({name: tuple(tensor.shape) for name, tensor in side.items()} for side in (stored, own))
        if there != here:
            odd = min({*there.items()} ^ {*here.items()})[0]
            sides = f"{there.get(odd, 'missing')} in it and {here.get(odd, 'missing')} here"
            raise ConfigError(
                f"the adapter does not fit: {odd} is {sides}",
                where=str(weights),
                rule="lora_r and target_modules are those of the fine-tune that is gone on from, on the same base",
            )
        set_peft_model_state_dict(model, stored)

    def save(self, model: Any, tokenizer: Any, folder: Path) -> None:
        """Write `adapter_model.safetensors` and `adapter_config.json`, which plain peft loads."""
        folder.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(str(folder), safe_serialization=True)


def lora_arguments(settings: LoraSettings) -> dict[str, Any]:
    """Keyword arguments of peft's `LoraConfig`."""
    modules = split_list(settings.target_modules)
    return {
        "task_type": "CAUSAL_LM",
        "r": settings.lora_r,
        "lora_alpha": settings.lora_alpha,
        "lora_dropout": settings.lora_dropout,
        "target_modules": "all-linear" if _everything(modules) else list(modules),
        "bias": "none",
        "init_lora_weights": True,
        "use_rslora": False,
        "use_dora": False,
    }


def head_arguments(model: Any, settings: LoraSettings) -> dict[str, Any]:
    """What is different for a model with a head for classification: the head learns whole, and is saved.

    `all-linear` means the attention and the MLP of its layers there: peft would take a BERT's pooler too.
    """
    head = next((name for name in HEADS if hasattr(model, name)), None)
    if head is None:
        return {}
    names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    found: dict[str, Any] = {"task_type": "SEQ_CLS", "modules_to_save": [head]}
    if _everything(split_list(settings.target_modules)):
        layers = next((each for each in (_DECODER, _ENCODER) if names & set(each)), None)
        if layers is not None:
            found["target_modules"] = [name for name in layers if name in names]
    if "pooler" in names:
        found["exclude_modules"] = ["pooler.dense"]
    return found


def _everything(modules: tuple[str, ...]) -> bool:
    return modules in ((), ("all-linear",))


METHODS.add("lora", Lora())
