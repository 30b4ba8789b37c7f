"""The opening of a run: what is known of it before any model is loaded."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from predictor.config import FinetuneConfig, canonical_hash
from predictor.data.fingerprint import Fingerprint
from predictor.flows.materials import Materials
from predictor.revision import code_revision
from predictor.schema import RunRecord, hp_values, keys


def opening_record(kind: str, config: FinetuneConfig, materials: Materials) -> RunRecord:
    """The record of a run that has read its data and done nothing yet."""
    scored = Fingerprint()
    for example in materials.scored:
        scored.add(example)
    return RunRecord(
        kind=kind,
        task=config.task,
        dataset=config.dataset,
        dataset_fingerprint=materials.dataset.fingerprint,
        row_sketch=materials.dataset.row_sketch,
        eval_dataset=config.eval_dataset,
        eval_fingerprint=scored.digest,
        base_model=config.base_model,
        seed=config.seed,
        code_revision=code_revision(),
        hp=hp_values(config.hyperparameters),
    )


def identity(config: FinetuneConfig, record: RunRecord) -> str:
    """Digest of everything that determines the result: data, base model, Hj, seed, limits, schema and code."""
    values = dataclasses.asdict(config)
    # A moved or renamed file with the same rows is the same dataset.
    del values["dataset"], values["eval_dataset"], values["base_model"]
    return canonical_hash(
        {
            **values,
            "dataset_fingerprint": record.dataset_fingerprint,
            "eval_fingerprint": record.eval_fingerprint,
            "base_model_digest": record.base_model_digest,
            "schema_version": keys.SCHEMA_VERSION,
            "code_revision": record.code_revision,
        }
    )


def write_config(folder: Path, config: FinetuneConfig) -> None:
    """The full configuration as `config.json`, from which the run can be repeated."""
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n", encoding="utf-8")
