"""The story of the named base models: bring one that is asked for, and tell what is known of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.config import check, param
from predictor.progress import SILENT, Progress

if TYPE_CHECKING:
    from predictor.models.bases import NamedBase


@dataclass(frozen=True)
class BasesConfig:
    """Which base model is brought into the cache."""

    fetch: str = param("", "name of a base model to fetch, so that later runs need no network for it; empty only lists")


def bases(config: BasesConfig, progress: Progress = SILENT) -> list[NamedBase]:
    """The base models that have names, the smallest first.

    Raises:
        ConfigError: `fetch` is no name. ModelError: the model cannot be had.
    """
    from predictor.trial.sources import named_bases

    check(config)
    known = named_bases()
    if config.fetch:
        known.get(config.fetch, where="-P fetch").bring(progress)
    return sorted((base for _, base in known), key=lambda base: base.megabytes)
