"""Numbers about a dataset, and a base model, that are known before the full fine-tune, in four price tiers.

`static` reads the rows, `embed` runs a sentence encoder, `forward` runs the untouched base model, `train` watches the
first optimizer steps. Importing this package imports no torch; a function that runs a model imports it when called.
"""

from __future__ import annotations

from predictor.probe.embed import embed_features
from predictor.probe.encoder import Encoder
from predictor.probe.feature import FEATURES, Feature, explain, lookup
from predictor.probe.forward import RenderedRow, forward_features, text_loss
from predictor.probe.recorder import ProbeRecorder
from predictor.probe.static import static_features
from predictor.probe.train import Trace, train_features

__all__ = [
    "FEATURES",
    "Encoder",
    "Feature",
    "ProbeRecorder",
    "RenderedRow",
    "Trace",
    "embed_features",
    "explain",
    "forward_features",
    "lookup",
    "static_features",
    "text_loss",
    "train_features",
]
