"""The story of a conversion: read a dataset in one format, write it in another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.config import check, param
from predictor.errors import ConfigError
from predictor.progress import SILENT, Progress
from predictor.trial.sources import dataset_source

if TYPE_CHECKING:
    from predictor.data.converting import Conversion


@dataclass(frozen=True)
class ConvertConfig:
    """What is converted, and into what."""

    input: str = param("", "the dataset: a file, a folder, a hub id, lab:FAMILY:…, or spoil:, mix: or slice: of these")
    output: str = param("", "file to write; .json, .jsonl, .parquet, .csv or .tsv chooses its kind")
    to: str = param(
        "messages",
        "format to write: squad, messages, sharegpt, alpaca, prompt_completion, classification, summarization or score",
    )
    format: str = param("auto", "format of the input; auto tells it from the content")
    drop_bad: bool = param(False, "leave out rows that are refused or that the other format cannot hold")


def convert(config: ConvertConfig, progress: Progress = SILENT) -> Conversion:
    """Convert a dataset; the result says which fields the other format could not hold.

    Raises:
        PredictorError: the input cannot be read, a row is refused, or the output cannot be written.
    """
    from predictor.data.converting import convert as convert_dataset

    check(config)
    for name in ("input", "output"):
        if not getattr(config, name):
            raise ConfigError(f"no {name} was named", where=f"-P {name}", rule="a path", fix=f"-P {name}=data.jsonl")
    progress.stage("convert")
    return convert_dataset(
        dataset_source(config.input), config.output, config.to, format=config.format, drop_bad=config.drop_bad
    )
