"""The trial of a configuration: of a model that writes answers, or of one with a head."""

from __future__ import annotations

from predictor.errors import ConfigError
from predictor.progress import SILENT, Progress
from predictor.tasks.scored.settings import ScoringSettings
from predictor.trial.class_trial import ClassTrial
from predictor.trial.config import NO_HEAD, FinetuneConfig
from predictor.trial.score_trial import ScoreTrial
from predictor.trial.trial import Trial


def open_trial(config: FinetuneConfig, progress: Progress = SILENT) -> Trial:
    """The trial that carries out a configuration. Errors as :class:`Trial`.

    Raises:
        ConfigError: a head that gives scores is asked for by a method that writes.
    """
    scoring = isinstance(config.task.settings, ScoringSettings)
    if config.has_head:
        return ScoreTrial(config, progress) if scoring else ClassTrial(config, progress)
    if scoring and config.task.settings.head != NO_HEAD:
        raise ConfigError(
            f"method={config.hyperparameters.method.name} trains no head, and head={config.task.settings.head} is "
            "given",
            where="-P method",
            rule="by method=sft a model writes its answers",
            fix="choose method=lora, qlora or full, or leave head out",
        )
    return Trial(config, progress)
