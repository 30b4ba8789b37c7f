"""Full fine-tuning: every weight of the model learns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from predictor.config import NoSettings
from predictor.finetune.methods.base import METHODS, Footprint, Shapes


class Full:
    """Trains all weights. The result is a whole model, about as large as the base."""

    settings = NoSettings
    folder = "model"

    def apply(self, model: Any, settings: NoSettings) -> Any:
        """The model itself with every weight trainable, in float32.

        A step of 2e-5 is lost in the rounding of a bfloat16 weight; on a GPU the arithmetic is autocast's instead.
        """
        return model.float().requires_grad_(True)

    def footprint(self, shapes: Shapes, outside: int, settings: NoSettings) -> Footprint:
        """All linear modules, embeddings and head; norms and biases are too few to count."""
        return Footprint(sum(a * b for a, b in shapes.values()), outside, in_place=True)

    def save(self, model: Any, tokenizer: Any, folder: Path) -> None:
        """Write `model.safetensors` with configuration and tokenizer, which plain transformers loads."""
        from predictor.models.base_model import save_tokenizer

        folder.mkdir(parents=True, exist_ok=True)
        model.save_pretrained(str(folder), safe_serialization=True)
        save_tokenizer(tokenizer, folder)


METHODS.add("full", Full())
