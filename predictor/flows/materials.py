"""What a fine-tune works on: its task, its rows, the scored questions and the development slice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.config import LAB, FinetuneConfig
from predictor.data import Dataset, load, split_evaluation, subsample
from predictor.data.example import Example
from predictor.errors import DataError
from predictor.tasks import TASKS
from predictor.tasks.base import Task

if TYPE_CHECKING:
    from pathlib import Path

    from predictor.tracking import TrackedRun


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


def gather(config: FinetuneConfig) -> Materials:
    """Read, check and split the data that the configuration names.

    Raises:
        ConfigError: the task is unknown. DataError: a file cannot be used, or holds no row that the task can use.
    """
    task = TASKS.get(config.task, where="-P task")
    dataset = open_dataset(config.dataset)
    evaluation = open_dataset(config.eval_dataset)
    train = subsample(_usable(dataset, task), config.train_limit, config.seed)
    scored, dev = split_evaluation(_usable(evaluation, task), config.eval_limit, config.dev_limit)
    return Materials(task, dataset, evaluation, tuple(train), tuple(scored), tuple(dev))


def open_dataset(source: str) -> Dataset:
    """A dataset from a file, a folder, a hub id or `lab:…`; refused rows are kept in `rejections`."""
    if source == LAB or source.startswith(LAB + ":"):
        from predictor.lab import materialise

        return load(materialise(source), drop_bad=True)
    return load(source, drop_bad=True)


def base_model_source(name: str) -> str:
    """The folder or hub id behind the parameter `base_model`."""
    if name == LAB:
        from predictor.lab import base_model_path

        return str(base_model_path())
    return name


def mlflow_inputs(config: FinetuneConfig, materials: Materials) -> list:
    """Both datasets as MLflow shows them on a run: name, digest, source and number of rows."""
    import json

    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag

    inputs = []
    for source, dataset, used, context in (
        (config.dataset, materials.dataset, materials.train, "training"),
        (config.eval_dataset, materials.evaluation, materials.scored, "evaluation"),
    ):
        entity = MlflowDataset(
            name=source.rsplit("/", 1)[-1][:500],
            digest=dataset.fingerprint,
            source_type="local",
            source=json.dumps({"uri": dataset.source}),
            profile=json.dumps({"rows": dataset.rows, "refused": len(dataset.rejections), "used": len(used)}),
        )
        inputs.append(DatasetInput(entity, tags=[InputTag("mlflow.data.context", context)]))
    return inputs


def keep_rejections(run: TrackedRun, dataset: Dataset, name: str) -> Path | None:
    """Refused rows as an artifact of the run, so that nothing is lost; None when there are none."""
    import json

    if not dataset.rejections:
        return None
    path = run.artifacts / f"{name}_rejected.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for rejection in dataset.rejections:
            stream.write(json.dumps(rejection.as_json(), ensure_ascii=False, default=str) + "\n")
    return path


def refusals(dataset: Dataset) -> str:
    """The refused rows in one line for a person."""
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
