"""The story of a probe: the features of the very fine-tune that it stands for, without the fine-tune."""

from __future__ import annotations

import dataclasses

from predictor.config import check
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, keys
from predictor.trial.config import FinetuneConfig


def probe_dataset(
    config: FinetuneConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> RunRecord:
    """Measure the chosen tiers of features and record them as an MLflow run of kind `probe`.

    The train tier runs the first `probe_steps` steps of the full fine-tune's own schedule, seed and data order, so
    its numbers are those that the full run would log.

    Raises:
        PredictorError: whatever was wrong; the run is FAILED with the reason in a tag.
    """
    from predictor.config import write_config
    from predictor.tracking import tracked_run
    from predictor.trial.opening import open_trial

    check(config)
    name = f"probe {config.data.short_name}"
    with (
        tracked_run(keys.KIND_PROBE, experiment=experiment, tracking_uri=tracking_uri, run_name=name) as run,
        open_trial(config, progress) as trial,
    ):
        trial.announce(keys.KIND_PROBE, run)
        trial.look()
        if "train" in config.probe.tier_list:
            trial.train(run.curve, probe_only=True)
        write_config(run.artifacts, config)
        record = dataclasses.replace(trial.record(keys.KIND_PROBE), costs=trial.costs(), complete=True)
        run.finish_record(record)
        return dataclasses.replace(record, run_id=run.run_id, status="FINISHED")
