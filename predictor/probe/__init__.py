"""Numbers about a dataset, and a base model, that are known before the full fine-tune, in four price tiers.

`static` reads the rows, `embed` runs a sentence encoder, `forward` runs the untouched base model, `train` watches the
first optimizer steps. Importing this package imports no torch; a function that runs a model imports it when called.
"""

from __future__ import annotations

import predictor.probe.dev_slice
import predictor.probe.labels  # noqa: F401 - they register their features
from predictor.probe.comparison import FirstLook, look_again, look_first, text_sequels
from predictor.probe.embed import embed_features
from predictor.probe.encoder import Encoder
from predictor.probe.feature import FEATURES, Feature, explain, lookup
from predictor.probe.forward import answer_marks, forward_features
from predictor.probe.losses import Marks
from predictor.probe.recorder import ProbeRecorder
from predictor.probe.scoring import RenderedRow, answer_sequels
from predictor.probe.static import static_features
from predictor.probe.train import Trace, train_features

__all__ = [
    "FEATURES",
    "Encoder",
    "Feature",
    "FirstLook",
    "Marks",
    "ProbeRecorder",
    "RenderedRow",
    "Trace",
    "answer_marks",
    "answer_sequels",
    "embed_features",
    "explain",
    "forward_features",
    "look_again",
    "look_first",
    "lookup",
    "static_features",
    "text_sequels",
    "train_features",
]
