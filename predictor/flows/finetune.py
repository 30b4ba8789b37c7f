"""The story of one fine-tune: read, look, train, score, record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from predictor.config import check
from predictor.errors import ConfigError
from predictor.flows.evaluate import after, evaluate_after
from predictor.models.crew import current
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, keys
from predictor.trial.config import FinetuneConfig

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
    from predictor.config import write_config
    from predictor.report.classification import write_class_report
    from predictor.report.learning_curve import learning_curve
    from predictor.report.scoring import scoring_figures
    from predictor.tracking import tracked_run
    from predictor.trial.opening import open_trial

    check(config)
    _check_crew(config)
    asked = after(config)
    with (
        tracked_run(
            keys.KIND_FINETUNE, experiment=experiment, tracking_uri=tracking_uri, run_name=config.title, lease=lease
        ) as run,
        open_trial(config, progress) as trial,
    ):
        trial.announce(keys.KIND_FINETUNE, run)
        curves: dict[str, list[tuple[int, float]]] = {}

        def on_log(step: int, values: Mapping[str, float]) -> None:
            for key, value in values.items():
                curves.setdefault(key, []).append((step, value))
            run.curve(step, values)

        trial.look()
        tuned = trial.train(on_log)
        evaluation = trial.evaluate(tuned.model)
        trial.save(tuned, run.artifacts)
        write_config(run.artifacts, config)
        run.describe(tags={f"{keys.TAG_SIGNATURE}{n}": text for n, text in evaluation.scores.signatures.items()})
        run.table("predictions.json", *evaluation.table())
        if trial.labels:
            write_class_report(run.artifacts, trial.labels, trial.truth, evaluation.answers, evaluation.metrics())
        if evaluation.scores.account:
            run.account(evaluation.scores.account)
            for name, figure in scoring_figures(evaluation.scores.account):
                figure.savefig(run.artifacts / f"{name}.png", dpi=110)
        learning_curve(curves, trial.probe_steps).savefig(run.artifacts / "learning_curve.png", dpi=110)
        record = dataclasses.replace(
            trial.record(keys.KIND_FINETUNE),
            scores=evaluation.metrics(),
            costs=trial.costs(tuned),
            complete=True,
        )
        run.finish_record(record)
        trial.discard_checkpoints()  # only now is everything in the store
    if asked is not None:
        # The base has gone back to the shelf; the evaluation finds it there.
        more = evaluate_after(asked, run.run_id, progress, tracking_uri=tracking_uri)
        record = dataclasses.replace(record, scores={**record.scores, **more})
    return dataclasses.replace(record, run_id=run.run_id, status="FINISHED")


def follow(config: FinetuneConfig) -> None:
    """Train with the first process of a launcher, which does all the rest; see :mod:`predictor.models.crew`.

    Raises:
        PredictorError: whatever was wrong in this process. The launcher then ends the others.
    """
    from predictor.trial.opening import open_trial

    check(config)
    _check_crew(config)
    with open_trial(config, SILENT) as trial:
        trial.follow()


def _check_crew(config: FinetuneConfig) -> None:
    if current().size > 1 and config.has_head:
        raise ConfigError(
            f"{current().size} processes are to train a head",
            where="WORLD_SIZE",
            rule="several processes train models that write answers; a head is trained by one",
            fix="start it without a launcher, or set method=sft",
        )
