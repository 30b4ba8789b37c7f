"""The story of one fine-tune: read, look, train, score, record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from predictor.config import FinetuneConfig, check
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, keys

if TYPE_CHECKING:
    from predictor.tracking.lease import Lease


def finetune(
    config: FinetuneConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
    lease: Lease | None = None,
) -> RunRecord:
    """Fine-tune the base model on a dataset, score it, and record everything as one MLflow run.

    Args:
        config: Di, the evaluation, M, Hj and the seed.
        experiment: the MLflow experiment; that of the surrounding run when None.
        tracking_uri: the store; `MLFLOW_TRACKING_URI` when None.
        lease: of the run to write, when it was claimed before.

    Returns:
        The record as it stands in the store.

    Raises:
        PredictorError: whatever was wrong; the run is FAILED with the reason in a tag.
    """
    from predictor.tracking import tracked_run

    check(config)
    with tracked_run(
        keys.KIND_FINETUNE,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=run_name(config),
        lease=lease,
    ) as run:
        return _finetune(config, run, progress)


def _finetune(config: FinetuneConfig, run, progress: Progress) -> RunRecord:  # noqa: ANN001 - TrackedRun imports mlflow
    from predictor.finetune.train import save_adapter
    from predictor.flows.evaluation import evaluate, write_predictions
    from predictor.flows.look import Look
    from predictor.flows.opening import begin, identity, write_config
    from predictor.flows.stopwatch import Stopwatch, peak_memory_mb
    from predictor.report.learning_curve import learning_curve

    watch = Stopwatch()
    materials, record = begin(keys.KIND_FINETUNE, config, run, watch, progress)
    curves: dict[str, list[tuple[int, float]]] = {}

    def on_log(step: int, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            curves.setdefault(key, []).append((step, value))
        run.curve(step, values)

    look = Look(config, materials, watch, progress)
    look.before_training()
    tuned = look.train(on_log)
    with watch.part("evaluate"):
        progress.stage("evaluate", len(materials.scored))
        evaluation = evaluate(tuned.model, look.base, materials.task, materials.scored, progress)
    save_adapter(tuned.model, run.artifacts / "adapter")
    write_config(run.artifacts, config)
    tags = write_predictions(run.artifacts, evaluation)
    learning_curve(curves, look.probe_steps).savefig(run.artifacts / "learning_curve.png", dpi=110)
    record = dataclasses.replace(
        record,
        base_model_digest=look.base.digest,
        encoder_digest=look.encoder_digest,
        probe=look.features,
        scores=evaluation.metrics(),
        costs={
            **watch.costs(),
            "train_tokens": float(tuned.tokens),
            "train_steps": float(tuned.steps),
            "trainable_parameters": float(tuned.trainable_parameters),
            "total_parameters": float(tuned.total_parameters),
            "peak_memory_mb": peak_memory_mb(),
        },
        complete=True,
    )
    record = dataclasses.replace(record, config_hash=identity(config, record))
    run.finish_record(record, tags)
    look.discard_checkpoints()  # only now is everything in the store
    return dataclasses.replace(record, run_id=run.run_id, status="FINISHED")


def run_name(config: FinetuneConfig) -> str:
    """What the UI calls the run."""
    return f"{config.dataset.rsplit('/', 1)[-1]} r{config.lora_r} lr{config.learning_rate:g} s{config.seed}"
