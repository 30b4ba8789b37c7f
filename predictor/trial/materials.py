"""What a fine-tune works on: its task, its rows, the scored questions and the development slice."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from predictor.data import Dataset, load, split_evaluation, subsample
from predictor.data.example import Example
from predictor.data.fingerprint import Fingerprint
from predictor.errors import DataError
from predictor.tasks import configured
from predictor.tasks.base import Task
from predictor.trial.config import FinetuneConfig
from predictor.trial.sources import dataset_source


@dataclass(frozen=True)
class Materials:
    """Attributes:
    train: rows to learn from, before any is refused for its length.
    scored: questions that R is measured on. dev: other questions of the evaluation file, never scored.
    """

    task: Task
    dataset: Dataset
    evaluation: Dataset
    train: tuple[Example, ...]
    scored: tuple[Example, ...]
    dev: tuple[Example, ...]

    @cached_property
    def scored_fingerprint(self) -> str:
        """Digest of the scored questions."""
        fingerprint = Fingerprint()
        for example in self.scored:
            fingerprint.add(example)
        return fingerprint.digest


def gather(config: FinetuneConfig) -> Materials:
    """Read, check and split the data that the configuration names.

    Raises:
        ConfigError: the task is unknown. DataError: a file cannot be used, or holds no row that the task can use.
    """
    task = configured(config.task.name, config.task.settings)
    dataset = load(dataset_source(config.data.dataset), drop_bad=True)
    evaluation = load(dataset_source(config.evaluation.eval_dataset), drop_bad=True)
    train = subsample(_usable(dataset, task), config.data.train_limit, config.execution.seed)
    scored, dev = split_evaluation(_usable(evaluation, task), config.evaluation.eval_limit, config.evaluation.dev_limit)
    return Materials(task, dataset, evaluation, tuple(train), tuple(scored), tuple(dev))


def keep_rejections(folder: Path, dataset: Dataset, name: str) -> str:
    """Write the refused rows of a dataset into a folder, so that nothing is lost.

    Returns:
        A line for a person, empty when no row was refused.
    """
    if not dataset.rejections:
        return ""
    with (folder / f"{name}_rejected.jsonl").open("w", encoding="utf-8") as stream:
        for rejection in dataset.rejections:
            stream.write(json.dumps(rejection.as_json(), ensure_ascii=False, default=str) + "\n")
    codes = ", ".join(f"{count} {code}" for code, count in Counter(r.code for r in dataset.rejections).most_common(3))
    return (
        f"{dataset.source}: {len(dataset.rejections)} of {dataset.rows} rows refused ({codes}), kept in the artifacts"
    )


def _usable(dataset: Dataset, task: Task) -> list[Example]:
    lacking: dict[str, int] = {}
    usable = []
    for example in dataset.examples:
        reason = task.accepts(example)
        if reason is None:
            usable.append(example)
        else:
            lacking[reason] = lacking.get(reason, 0) + 1
    if not usable:
        reasons = "; ".join(f"{count} rows: {reason}" for reason, count in sorted(lacking.items()))
        raise DataError(
            f"no row can be used for the task '{task.name}' ({reasons})",
            where=f"{dataset.source}, read as {dataset.format}",
            rule="each row holds what the task reads",
            fix="choose another task with -P task=…, or another file",
        )
    return usable
