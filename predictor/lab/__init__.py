"""The embedded world: generated text, families of datasets of known quality, and a small base model that reads it."""

from __future__ import annotations

from pathlib import Path

from predictor.lab.families import FAMILIES, Family, generate
from predictor.lab.specification import materialise

__all__ = ["FAMILIES", "Family", "base_model_path", "generate", "materialise"]


def base_model_path() -> Path:
    """The folder of the base model `lab`, as `AutoModelForCausalLM.from_pretrained` takes it."""
    return Path(__file__).parent / "base"
