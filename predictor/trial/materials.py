"""What a fine-tune works on: its task, its rows, the scored questions and the development slice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from predictor.data import Dataset, load, split_evaluation, subsample
from predictor.data.example import Example
from predictor.data.fingerprint import Fingerprint, row_hash
from predictor.data.rejection import Rejection, refused_example
from predictor.errors import DataError
from predictor.tasks import configured
from predictor.tasks.base import Task
from predictor.trial.config import FinetuneConfig
from predictor.trial.sources import dataset_source


@dataclass(frozen=True)
class Materials:
    """What one fine-tune works on.

    Attributes:
        train: rows to learn from, before any is refused for its length.
        scored: questions that R is measured on. dev: other questions of the evaluation file, never scored.
    """

    task: Task
    dataset: Dataset
    evaluation: Dataset
    train: tuple[Example, ...]
    scored: tuple[Example, ...]
    dev: tuple[Example, ...]
    unusable_train: tuple[Rejection, ...] = ()
    unusable_eval: tuple[Rejection, ...] = ()

    @cached_property
    def leaked(self) -> int:
        """Training rows that ask what a scored or a development question asks, regardless of case and white space."""
        asked = {row_hash(example) for example in (*self.scored, *self.dev)}
        return sum(row_hash(example) in asked for example in self.train)

    @cached_property
    def scored_fingerprint(self) -> str:
        """Digest of the scored questions."""
        return _digest(self.scored)

    @cached_property
    def dev_fingerprint(self) -> str:
        """Digest of the development slice."""
        return _digest(self.dev)

    def fingerprint_of(self, rows: Sequence[Example]) -> str:
        """Digest of some of the training data's rows, in their order."""
        return self.dataset.fingerprint if len(rows) == len(self.dataset.examples) else _digest(rows)

    def refuse_leak(self) -> None:
        """Raise DataError when training rows are questions of the evaluation too."""
        if self.leaked:
            raise DataError(
                self.leak,
                where=self.dataset.source,
                rule="-P leak=refuse: no training row asks what a scored or development question asks",
                fix="remove these rows from one of the two files, or set -P leak=note",
            )

    @property
    def leak(self) -> str:
        """How much of the training data is evaluation too."""
        return f"{self.leaked} of {len(self.train)} training rows are also questions of the evaluation"


def gather(config: FinetuneConfig) -> Materials:
    """Read, check and split the data that the configuration names.

    Raises:
        ConfigError: the task is unknown. DataError: a file cannot be used, or holds no row that the task can use.
    """
    task = configured(config.task.name, config.task.settings)
    fields = getattr(task, "fields", None)
    dataset = load(dataset_source(config.data.dataset), drop_bad=True, fields=fields)
    evaluation = load(dataset_source(config.evaluation.eval_dataset), drop_bad=True, fields=fields)
    learnable, unusable_train = _usable(dataset, task)
    askable, unusable_eval = _usable(evaluation, task)
    if fitted := getattr(task, "fitted", None):
        task, learnable, askable = fitted(learnable, askable)
    train = subsample(learnable, config.data.train_limit, config.execution.seed)
    scored, dev = split_evaluation(askable, config.evaluation.eval_limit, config.evaluation.dev_limit)
    return Materials(
        task, dataset, evaluation, tuple(train), tuple(scored), tuple(dev), tuple(unusable_train), tuple(unusable_eval)
    )


def too_long(dataset: Dataset, lengths: Iterable[tuple[Example, int]], most: int) -> list[Rejection]:
    """Rows that take more than `most` tokens, as refused rows; `lengths` are of these rows."""
    return [
        refused_example(
            example, dataset.source, "over_max_length", f"at most {most} tokens of prompt and completion", f"{length}"
        )
        for example, length in lengths
    ]


def keep_rejections(folder: Path, name: str, rejections: Sequence[Rejection]) -> None:
    """Add refused rows to `<name>_rejected.jsonl` in a folder, so that nothing is lost."""
    if not rejections:
        return
    with (folder / f"{name}_rejected.jsonl").open("a", encoding="utf-8") as stream:
        for rejection in rejections:
            stream.write(json.dumps(rejection.as_json(), ensure_ascii=False, default=str) + "\n")


def keep_unused(materials: Materials, folder: Path) -> list[str]:
    """Write the rows that are refused or cannot be used into a folder, by file.

    Returns:
        Lines for a person: what was noted while reading, or making, a dataset, rows that are not used, and training
        rows that are evaluation too.
    """
    m, lines = materials, []
    for name, dataset, unusable in (("train", m.dataset, m.unusable_train), ("eval", m.evaluation, m.unusable_eval)):
        keep_rejections(folder, name, (*dataset.rejections, *unusable))
        lines += [*dataset.notes, *_told(dataset, unusable, m.task)]
    if m.leaked:
        lines.append(f"WARNING: {m.leak}: the score will be too good, by what was learnt by heart")
    return lines


def _told(dataset: Dataset, unusable: Sequence[Rejection], task: Task) -> list[str]:
    lines = []
    if dataset.rejections:
        codes = Counter(rejection.code for rejection in dataset.rejections).most_common(3)
        lines.append(
            f"{dataset.source}: {len(dataset.rejections)} of {dataset.rows} rows refused "
            f"({', '.join(f'{count} {code}' for code, count in codes)}), kept in the artifacts"
        )
    if unusable:
        reasons = Counter(rejection.found for rejection in unusable).most_common()
        lines.append(
            f"{dataset.source}: {len(unusable)} of {dataset.rows} rows cannot be used for the task '{task.name}' "
            f"({'; '.join(f'{count}: {reason}' for reason, count in reasons)}), kept in the artifacts"
        )
    return lines


def _usable(dataset: Dataset, task: Task) -> tuple[list[Example], list[Rejection]]:
    usable: list[Example] = []
    unusable: list[Rejection] = []
    for example in dataset.examples:
        reason = task.accepts(example)
        if reason is None:
            usable.append(example)
        else:
            expected = f"a row that the task '{task.name}' can use"
            unusable.append(refused_example(example, dataset.source, "not_for_task", expected, reason))
    if not usable:
        lacking = Counter(rejection.found for rejection in unusable)
        reasons = "; ".join(f"{count} rows: {reason}" for reason, count in sorted(lacking.items()))
        raise DataError(
            f"no row can be used for the task '{task.name}' ({reasons})",
            where=f"{dataset.source}, read as {dataset.format}",
            rule="each row holds what the task reads",
            fix="choose another task with -P task=…, or another file",
        )
    return usable, unusable


def _digest(rows: Sequence[Example]) -> str:
    fingerprint = Fingerprint()
    for example in rows:
        fingerprint.add(example)
    return fingerprint.digest
