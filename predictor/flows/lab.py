"""The story of a dataset of the lab: a family, its dial, and an ordinary file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from predictor.config import check, param
from predictor.progress import SILENT, Progress


@dataclass(frozen=True)
class LabConfig:
    """Which dataset of the lab to write, and where."""

    family: str = param("size", "the way in which the dataset is poor, or 'evaluation' for the 1 000 fixed questions")
    dial: float = param(-1.0, "how far the family goes, in its own unit; below 0 takes its mildest setting")
    size: int = param(512, "number of rows; the family size takes its dial instead", least=1, most=100_000)
    seed: int = param(1, "other seeds give other passages", least=0)
    output: str = param("lab_data", "folder for the SQuAD v1.1 file")


def lab(config: LabConfig, progress: Progress = SILENT) -> Path:
    """Write one dataset of the lab and return its file.

    Raises:
        ConfigError: the family is unknown, or its dial out of range.
    """
    from predictor.lab import FAMILIES, materialise

    check(config)
    if config.family == "evaluation":
        return materialise("lab:evaluation", Path(config.output))
    dial = config.dial if config.dial >= 0 else FAMILIES.get(config.family, where="-P family").settings[0]
    spec = f"lab:{config.family}:dial={dial:g}:size={config.size}:seed={config.seed}"
    return materialise(spec, Path(config.output))
