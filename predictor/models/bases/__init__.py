"""Base models that have names.

Every file of this folder that describes one registers it itself; a further base model is one more file. The embedded
one registers itself from its own room, `predictor/lab/named.py`.
"""

from __future__ import annotations

from predictor.catalog import discover
from predictor.models.bases.base import BASES, DECODER, ENCODER, NamedBase, register

discover(__name__, __path__)

__all__ = ["BASES", "DECODER", "ENCODER", "NamedBase", "register"]
