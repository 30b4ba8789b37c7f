"""Pre-flight: what a dataset would do to a fine-tune, measured before any training."""

from __future__ import annotations

from predictor.data.preflight.check import Preflight
from predictor.data.preflight.overlap import EvaluationIndex
from predictor.data.preflight.thresholds import Thresholds
from predictor.data.preflight.tokens import Measure, token_measure

__all__ = ["EvaluationIndex", "Measure", "Preflight", "Thresholds", "token_measure"]
