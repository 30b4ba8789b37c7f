"""QLoRA: LoRA matrices beside a base that is kept in 4 or 8 bits (Dettmers et al. 2023, arXiv 2305.14314)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from predictor.config import param
from predictor.finetune.methods.base import METHODS, Footprint, Shapes
from predictor.finetune.methods.lora import Lora, LoraSettings
from predictor.models.quantization import KINDS, Quantization


@dataclass(frozen=True)
class QloraSettings(LoraSettings):
    """Section `qlora`: LoRA's own, and how the base is kept."""

    quantization: str = param("nf4", "how the base's matrices are kept: nf4, fp4 (4 bits) or int8", choices=KINDS)
    double_quantization: bool = param(True, "keep the scales of 4-bit blocks in 8 bits too: 0.05 bytes less a weight")


class Qlora(Lora):
    """Trains the adapter's matrices only, in float32; the base is loaded in 4 or 8 bits."""

    settings = QloraSettings
    folder = "adapter"

    def quantization(self, settings: QloraSettings) -> Quantization:
        """How the base is loaded."""
        return Quantization(settings.quantization, settings.double_quantization)

    def apply(self, model: Any, settings: LoraSettings) -> Any:
        """The model with LoRA matrices.

        Raises:
            ConfigError: target_modules names no module of the model.
        """
        tuned = super().apply(model, settings)
        # TRL turns the adapter of a model that says so into bfloat16. On a CPU that is slow, and merged it would not
        # answer as it did when it was trained.
        model.is_loaded_in_4bit = model.is_loaded_in_8bit = False
        return tuned

    def footprint(self, shapes: Shapes, outside: int, settings: Any) -> Footprint:
        """LoRA's, beside a base of fewer bytes."""
        weight_bytes = self.quantization(settings).weight_bytes
        return dataclasses.replace(super().footprint(shapes, outside, settings), weight_bytes=weight_bytes)


METHODS.add("qlora", Qlora())
