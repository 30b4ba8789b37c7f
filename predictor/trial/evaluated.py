"""A fine-tune that is evaluated: its rows as they were when it was trained, and how much its scores vary by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from predictor.data.example import Example
from predictor.errors import ModelError
from predictor.models.base_model import BaseModel
from predictor.schema import RunRecord
from predictor.trial.config import FinetuneConfig, config_of
from predictor.trial.identity import code_revision
from predictor.trial.materials import Materials
from predictor.trial.measured import arithmetic, libraries


def config_as_run(stored: Mapping[str, Any], said: Mapping[str, Any]) -> FinetuneConfig:
    """The configuration of a fine-tune as its run keeps it, but for what the user says: files may have moved."""
    return config_of(stored).replace(**said)


def changed(materials: Materials, record: RunRecord) -> list[str]:
    """Lines for a person where the data are no longer those of the run."""
    lines = []
    if record.eval_fingerprint and materials.scored_fingerprint != record.eval_fingerprint:
        lines.append(
            f"WARNING: the questions of {materials.evaluation.source} are not those that the fine-tune was scored on"
        )
    return lines


def learnt(materials: Materials) -> tuple[Example, ...]:
    """Every row that the fine-tune may have learnt from: of what was replayed, all that could be."""
    return (*materials.train, *(materials.replay.examples if materials.replay else ()))


def same_base(record: RunRecord, digest: str, base_model: str) -> None:
    """Raise ModelError when the base that was loaded is not the one that the run was made of."""
    if record.base_model_digest and record.base_model_digest != digest:
        raise ModelError(
            f"the base model is another one: the fine-tune was made of weights {record.base_model_digest}, "
            f"{base_model} has {digest}",
            where=f"run {record.run_id}, base_model={record.base_model}",
            rule="a fine-tune is compared with the base that it was made of",
            fix=f"name the folder or hub id of that base with -P base_model=…; the run says {record.base_model}",
        )


def answers_depend_on(base: BaseModel) -> dict[str, Any] | None:
    """Everything that a base's answers depend on beside the prompts; None where it cannot be told from others."""
    if base.model_digest == "unknown":
        return None
    return {
        "model": base.model_digest,
        "quantization": repr(base.quantization),
        "arithmetic": arithmetic(base.device),
        "code_revision": code_revision(),
        "libraries": libraries(),
    }


def seed_noise(record: RunRecord, others: Iterable[RunRecord], headline: str) -> dict[str, float]:
    """Standard deviations of the headline and of forgetting between seeds of one fine-tune.

    Args:
        others: runs among which its seeds are looked for; the run itself may be among them.
    """
    same = {
        other.seed: other
        for other in [*others, record]
        if other.complete and other.status == "FINISHED" and _alike(other) == _alike(record)
    }
    found = {}
    for told, name in (("score", headline), ("forgetting", "forgetting")):
        values = [other.scores[name] for other in same.values() if name in other.scores]
        values = [value for value in values if math.isfinite(value)]
        if len(values) > 1:
            found[told] = float(np.std(values, ddof=1))
    return found


def _alike(record: RunRecord) -> tuple[Any, ...]:
    """What is the same of two fine-tunes that differ in nothing but their seed."""
    return (
        record.task, record.dataset_fingerprint, record.eval_fingerprint, record.base_model_digest, record.method,
        record.train_limit, record.eval_limit, record.dev_limit, tuple(sorted(record.hp.items())),
    )  # fmt: skip
