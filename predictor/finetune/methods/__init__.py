"""Ways to change a model's weights. A further one is one file here, which registers itself; no torch at the top."""

from predictor.catalog import discover
from predictor.finetune.methods.base import METHODS, Footprint, Method, quantization_of

discover(__name__, __path__)

__all__ = ["METHODS", "Footprint", "Method", "quantization_of"]
