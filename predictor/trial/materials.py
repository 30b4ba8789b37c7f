"""What a fine-tune works on: its task, its rows, the scored questions and the development slice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from predictor.config import held_share
from predictor.config.names import HELD_OUT
from predictor.data import Dataset, hold_out, load, split_evaluation, subsample
from predictor.data.example import Example
from predictor.data.fingerprint import Fingerprint, row_hash
from predictor.data.formats.base import Format
from predictor.data.formats.classification import Classification, Columns
from predictor.data.rejection import Rejection, refused_example
from predictor.errors import DataError
from predictor.tasks import configured
from predictor.tasks.base import Task
from predictor.trial.config import FinetuneConfig
from predictor.trial.parts import Parts, parts_of
from predictor.trial.sources import dataset_source

_ANOTHER: Final = "choose another task with -P task=…, or another file"


@dataclass(frozen=True)
class Materials:
    """What one fine-tune works on.

    Attributes:
        train: rows to learn from, before any is refused for its length.
        scored: questions that R is measured on. dev: other questions, never scored.
        own_parts: scored and development rows are parts of the dataset itself.
        notes: what a person should know of how they came about.
        replay: rows of what the base could do before, some of which are mixed into training.
    """

    task: Task
    dataset: Dataset
    evaluation: Dataset
    train: tuple[Example, ...]
    scored: tuple[Example, ...]
    dev: tuple[Example, ...]
    unusable_train: tuple[Rejection, ...] = ()
    unusable_eval: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()
    own_parts: bool = False
    replay: Dataset | None = None

    @cached_property
    def leaked(self) -> int:
        """Training rows that ask what a scored or a development question asks, regardless of case and white space."""
        asked = {row_hash(example) for example in (*self.scored, *self.dev)}
        rows = (*self.train, *(self.replay.examples if self.replay else ()))
        return sum(row_hash(example) in asked for example in rows)

    @property
    def replayed(self) -> str:
        """Digest of the rows that may be replayed; empty without any."""
        return self.replay.fingerprint if self.replay else ""

    @cached_property
    def scored_fingerprint(self) -> str:
        """Digest of the scored questions."""
        return _digest(self.scored)

    @property
    def evaluation_fingerprint(self) -> str:
        """Digest of all that is evaluated: the scored questions, and the slice where it is no part of the same file."""
        return self.scored_fingerprint + (self.dev_fingerprint if self.own_parts else "")

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
        rows = len(self.train) + (len(self.replay.examples) if self.replay else 0)
        return f"{self.leaked} of {rows} training rows are also questions of the evaluation"


def gather(config: FinetuneConfig) -> Materials:
    """Read, check and split the data that the configuration names.

    Raises:
        ConfigError: the task is unknown. DataError: a file cannot be used, or holds no row that the task can use.
    """
    task = configured(config.task.name, config.task.settings)
    source, told = dataset_source(config.data.dataset), config.evaluation
    format, share = _format(task), held_share(told.eval_dataset)
    fields = getattr(task, "fields", None)
    dataset = load(source, format=format, drop_bad=True, fields=fields)
    learnable, unusable_train = _usable(dataset, task)
    if share is not None or told.eval_dataset:
        if share is not None:
            learnable, askable = (list(part) for part in hold_out(learnable, share))
            evaluation = _held_out(dataset, askable, share)
            unusable_eval: list[Rejection] = []
        else:
            evaluation = load(dataset_source(told.eval_dataset), format=format, drop_bad=True, fields=fields)
            fix = f"name a file of this task's rows, or hold out a part of the dataset: -P eval_dataset={HELD_OUT}:0.1"
            askable, unusable_eval = _usable(evaluation, task, fix)
        if fitted := getattr(task, "fitted", None):
            task, learnable, askable = fitted(learnable, askable)
        parts = Parts(learnable, *split_evaluation(askable, told.eval_limit, told.dev_limit), evaluation, unusable_eval)
    else:
        parts = parts_of(
            source,
            dataset,
            learnable,
            lambda held: _usable(held, task),
            format=format,
            eval_limit=told.eval_limit,
            dev_limit=told.dev_limit,
            stratum=lambda example: example.label or "",
        )
    train = subsample(parts.train, config.data.train_limit, config.execution.seed)
    if learn_from := getattr(task, "learn_from", None):
        task = learn_from(parts.train, (parts.scored, parts.dev))
    return Materials(
        task,
        dataset,
        parts.evaluation,
        tuple(train),
        tuple(parts.scored),
        tuple(parts.dev),
        tuple(unusable_train),
        tuple(parts.unusable),
        (*parts.notes, *_repeated(train, task)),
        own_parts=not told.eval_dataset,
        replay=load(dataset_source(config.data.replay), drop_bad=True) if config.data.replay else None,
    )


def _held_out(dataset: Dataset, rows: Sequence[Example], share: float) -> Dataset:
    """A part of a dataset as one of its own."""
    if not rows:
        raise DataError(
            f"no part of the dataset can be held out: {share:g} of its {len(dataset.examples)} rows is less than one "
            "passage or conversation",
            where=dataset.source,
            rule="rows of one passage or conversation are held out together",
            fix=f"name an evaluation file with -P eval_dataset, or a larger share than {HELD_OUT}:{share:g}",
        )
    fingerprint = Fingerprint()
    for example in rows:
        fingerprint.add(example)
    return replace(
        dataset,
        examples=tuple(rows),
        source=f"{HELD_OUT}:{share:g} of {dataset.source}",
        fingerprint=fingerprint.digest,
        row_sketch=fingerprint.sketch,
        row_hashes=fingerprint.row_hashes,
        rejections=(),
        rejected=0,
        notes=(),
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
    m, lines = materials, list(materials.notes)
    for name, dataset, unusable in (("train", m.dataset, m.unusable_train), ("eval", m.evaluation, m.unusable_eval)):
        keep_rejections(folder, name, (*dataset.rejections, *unusable))
        lines += [*dataset.notes, *_told(dataset, unusable, m.task)]
    if m.leaked:
        lines.append(f"WARNING: {m.leak}: the score will be too good, by what was learnt by heart")
    return lines


def _format(task: Task) -> str | Format:
    """How the files are read: as the columns that the user names for the task, or as their content tells."""
    columns = getattr(task, "columns", None)
    return Classification(Columns(*columns)) if columns else "auto"


def _repeated(train: Sequence[Example], task: Task) -> list[str]:
    """What a classifier's rows repeat: equal texts, and equal texts of different classes."""
    if not hasattr(task, "plain_text"):
        return []
    labels: dict[str, set[str]] = {}
    for example in train:
        labels.setdefault(row_hash(example), set()).add(task.target(example))
    lines = []
    if repeated := len(train) - len(labels):
        lines.append(f"{repeated} of {len(train)} training rows repeat the text of another")
    if torn := sum(len(classes) > 1 for classes in labels.values()):
        lines.append(f"{torn} texts stand in the training rows under more than one class")
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


def _usable(dataset: Dataset, task: Task, fix: str = _ANOTHER) -> tuple[list[Example], list[Rejection]]:
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
            fix=fix,
        )
    return usable, unusable


def _digest(rows: Sequence[Example]) -> str:
    fingerprint = Fingerprint()
    for example in rows:
        fingerprint.add(example)
    return fingerprint.digest
