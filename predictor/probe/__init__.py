"""Numbers about a dataset, and a base model, that are known before the full fine-tune, in four price tiers.

`static` reads the rows, `embed` runs a sentence encoder, `forward` runs the untouched base model, `train` watches the
first optimizer steps. Importing this package imports no torch; a function that runs a model imports it when called.
"""

from __future__ import annotations

import predictor.probe.dev_slice  # noqa: F401 - registers its features
from predictor.probe.comparison import KeptBase, answer_sequels, compare, keep_base, text_sequels
from predictor.probe.embed import embed_features
from predictor.probe.encoder import Encoder
from predictor.probe.feature import FEATURES, Feature, explain, lookup
from predictor.probe.forward import RenderedRow, answer_marks, forward_features, text_loss
from predictor.probe.losses import Marks
from predictor.probe.recorder import ProbeRecorder
from predictor.probe.static import static_features
from predictor.probe.train import Trace, train_features

__all__ = [
    "FEATURES",
    "Encoder",
    "Feature",
    "KeptBase",
    "Marks",
    "ProbeRecorder",
    "RenderedRow",
    "Trace",
    "answer_marks",
    "answer_sequels",
    "compare",
    "embed_features",
    "explain",
    "forward_features",
    "keep_base",
    "lookup",
    "static_features",
    "text_loss",
    "text_sequels",
    "train_features",
]
