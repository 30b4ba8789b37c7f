"""The opening of a run: what is known of it before any model is loaded."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.config import WITHOUT_EFFECT, FinetuneConfig, canonical_hash
from predictor.data.fingerprint import Fingerprint
from predictor.flows.materials import Materials, base_model_source, gather, keep_rejections, mlflow_inputs, refusals
from predictor.flows.row_hashes import keep_row_hashes
from predictor.flows.stopwatch import Stopwatch
from predictor.progress import Progress
from predictor.revision import code_revision
from predictor.schema import RunRecord, encode, hp_values, keys

if TYPE_CHECKING:
    from predictor.tracking import TrackedRun


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


def begin(
    kind: str, config: FinetuneConfig, run: TrackedRun, watch: Stopwatch, progress: Progress
) -> tuple[Materials, RunRecord]:
    """Read the data and write on the run what is known before any model is loaded: Hj, tags, the datasets as MLflow's
    inputs, the row hashes of a large dataset, and the rows that were refused, which are also named to the person who
    watches."""
    with watch.part("read"):
        materials = gather(config)
    record = opening_record(kind, config, materials)
    encoded = encode(record)
    run.describe(params=encoded.params, tags=encoded.tags)
    run.inputs(mlflow_inputs(config, materials))
    keep_row_hashes(run, materials.dataset)
    for name, dataset in (("train", materials.dataset), ("eval", materials.evaluation)):
        if keep_rejections(run, dataset, name):
            progress.note(refusals(dataset))
    return materials, record


def identity(config: FinetuneConfig, record: RunRecord) -> str:
    """Digest of everything that determines the result: data, base model, Hj, seed, limits, schema and code."""
    values = dataclasses.asdict(config)
    # A moved or renamed file with the same rows is the same dataset.
    for name in ("dataset", "eval_dataset", "base_model", *WITHOUT_EFFECT):
        del values[name]
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


def planned_identity(config: FinetuneConfig, materials: Materials) -> str | None:
    """What :func:`identity` will be once the fine-tune has run, without loading a model and without torch.

    Of a base model on the hub it holds for the commit in the local cache, if no newer one is fetched meanwhile.

    Returns:
        None when the base model is not on this machine yet, so that its digest cannot be known.
    """
    from predictor.finetune.base_model import planned_digest

    digest = planned_digest(base_model_source(config.base_model))
    if digest is None:
        return None
    record = opening_record(keys.KIND_FINETUNE, config, materials)
    return identity(config, dataclasses.replace(record, base_model_digest=digest))


def write_config(folder: Path, config: FinetuneConfig) -> None:
    """The full configuration as `config.json`, from which the run can be repeated."""
    (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n", encoding="utf-8")
