"""The embedded base model among the named ones."""

from __future__ import annotations

from predictor.config import LAB
from predictor.lab import base_model_path
from predictor.models.bases import DECODER, NamedBase, register

register(
    NamedBase(
        name=LAB,
        kind=DECODER,
        source="comes with this project",
        sha256="",
        licence="MIT",
        megabytes=4,
        place=base_model_path,
        bring=lambda progress: base_model_path(),
    )
)
