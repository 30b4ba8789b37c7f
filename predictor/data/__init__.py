"""Files → Examples: formats, validation, splits and fingerprints."""

from __future__ import annotations

from predictor.data.example import Example, Message
from predictor.data.loading import Dataset, load
from predictor.data.rejection import Rejection
from predictor.data.split import hold_out, split_evaluation, stratified_hold_out, subsample
from predictor.data.writing import write_squad

__all__ = [
    "Dataset",
    "Example",
    "Message",
    "Rejection",
    "hold_out",
    "load",
    "split_evaluation",
    "stratified_hold_out",
    "subsample",
    "write_squad",
]
