"""The trial of a configuration: of a model that writes answers, or of one with a head."""

from __future__ import annotations

from predictor.progress import SILENT, Progress
from predictor.trial.config import FinetuneConfig
from predictor.trial.head_trial import HeadTrial
from predictor.trial.trial import Trial


def open_trial(config: FinetuneConfig, progress: Progress = SILENT) -> Trial:
    """The trial that carries out a configuration. Errors as :class:`Trial`."""
    return HeadTrial(config, progress) if config.has_head else Trial(config, progress)
