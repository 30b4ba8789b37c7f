"""The story of answers to a file: read the questions, ask the model, write every row, record."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from predictor.config import LAB, check, param, shortened, split_list
from predictor.errors import ConfigError
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.trial.sources import dataset_source

if TYPE_CHECKING:
    from predictor.models.sampling import Sampling
    from predictor.serving.answering import Answered
    from predictor.serving.opening import Opened

_LOGGED_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class GenerateConfig:
    """Who is asked, what, and how the answers are chosen."""

    model: str = param(LAB, "folder of a model or an adapter, a run, the name of a base model, or a hub id")
    input: str = param(
        "", "a dataset in any form that finetune reads, rows with a prompt only, or a .txt file of lines"
    )
    output: str = param("", "file for the answers; .jsonl, .json, .csv, .tsv or .parquet chooses its kind")
    compare: str = param("", "two or more models as in model, separated by commas, whose answers stand side by side")
    base_model: str = param("", "base model of an adapter; empty takes the one that the fine-tune recorded")
    text_column: str = param("", "for a classifier: column of the text, several separated by commas; empty tells it")
    label_column: str = param("", "for a classifier: column of the label, beside text_column; empty tells it")
    task: str = param(
        "auto", "how rows are put and answers read; auto: as the model was tuned for, chat: by the rows' own turns"
    )
    limit: int = param(0, "ask only the first so many rows; 0 asks all", least=0)
    max_new_tokens: int = param(256, "tokens of an answer; a longer one is cut, and its row says so", least=1)
    temperature: float = param(0.0, "0 takes the likeliest token each time; above, answers are drawn", least=0.0)
    top_k: int = param(0, "draw among so many likeliest tokens; 0 among all", least=0)
    top_p: float = param(1.0, "draw among the likeliest tokens of this probability together", above=0.0, most=1.0)
    repetition_penalty: float = param(1.0, "above 1 makes tokens less likely that were said before", above=0.0)
    seed: int = param(1, "of the draws; each row has its own", least=0)


def generate(
    config: GenerateConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> Answered:
    """Answer every row of a file, as one MLflow run with figures and (up to 64 MiB) the answers as artifacts.

    A model that writes answers, a classifier says classes, and a model that was tuned to give scores gives them.

    Started again after a break with the same parameters, it goes on where it was.

    Raises:
        PredictorError: the model or the input cannot be read, or no row can be answered.
    """
    from predictor.serving.answering import answer_file, rejected_file
    from predictor.serving.kinds import asking_of
    from predictor.tracking import tracked_run

    check(config)
    for name in ("input", "output"):
        if not getattr(config, name):
            raise ConfigError(f"no {name} was named", where=f"-P {name}", rule="a path", fix=f"-P {name}=rows.jsonl")
    names, output = _models(config), Path(config.output)
    title = f"generate {shortened(config.input)}"
    with tracked_run(keys.KIND_GENERATE, experiment=experiment, tracking_uri=tracking_uri, run_name=title) as run:
        loaders = [(name, _loader(name, config, progress)) for name in names]
        first = loaders[0][1]()
        rows, asking = asking_of(
            first,
            dataset_source(config.input),
            config.task,
            sampling=_sampling(config),
            most=config.max_new_tokens,
            columns=(config.text_column, config.label_column),
            note=progress.note,
        )
        answered = answer_file(
            [(names[0], lambda: first), *loaders[1:]], rows[: config.limit or None], output, asking, progress=progress
        )
        run.table("answers.json", *answered.sample)
        files = [file for file in (output, rejected_file(output)) if file.is_file()]
        for file in files:
            if file.stat().st_size <= _LOGGED_BYTES:
                shutil.copyfile(file, run.artifacts / file.name)
        figures = {"rows": answered.rows, "rejected": answered.rejected, "tokens": answered.tokens, **answered.figures}
        run.finish(
            metrics={f"{keys.GENERATE}{name}": float(value) for name, value in figures.items()},
            tags={keys.TAG_DATASET: config.input, keys.TAG_BASE_MODEL: ", ".join(names), keys.TAG_COMPLETE: "true"},
        )
        return answered


def _models(config: GenerateConfig) -> list[str]:
    names = list(split_list(config.compare)) or [config.model]
    if config.compare and (len(names) < 2 or len(set(names)) < len(names)):
        raise ConfigError(
            f"compare={config.compare} names no two models",
            where="-P compare",
            rule="two or more different models, separated by commas",
            fix="-P compare=BASE,RUN",
        )
    return names


def _loader(name: str, config: GenerateConfig, progress: Progress) -> Callable[[], Opened]:
    from predictor.serving.opening import open_model
    from predictor.tracking.tuned import fetch_tuned

    return partial(open_model, name, fetch_tuned, progress, base_model=config.base_model, heads=True)


def _sampling(config: GenerateConfig) -> Sampling:
    from predictor.models.sampling import Sampling

    return Sampling(config.temperature, config.top_k, config.top_p, config.repetition_penalty, config.seed)
