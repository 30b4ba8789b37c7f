"""The story of a probe: the features of the very fine-tune that it stands for, without the fine-tune."""

from __future__ import annotations

import dataclasses

from predictor.config import FinetuneConfig, check
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, keys


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
    from predictor.flows.look import Look
    from predictor.flows.opening import begin, identity, write_config
    from predictor.flows.stopwatch import Stopwatch, peak_memory_mb
    from predictor.tracking import tracked_run

    check(config)
    with tracked_run(
        keys.KIND_PROBE,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=f"probe {config.dataset.rsplit('/', 1)[-1]}",
    ) as run:
        watch = Stopwatch()
        materials, record = begin(keys.KIND_PROBE, config, run, watch, progress)
        look = Look(config, materials, watch, progress)
        look.before_training()
        if "train" in config.tier_list:
            look.train(run.curve, probe_only=True)
        write_config(run.artifacts, config)
        record = dataclasses.replace(
            record,
            base_model_digest=look.base.digest if look.loaded else "",
            encoder_digest=look.encoder_digest,
            probe=look.features,
            costs={**watch.costs(), **({"peak_memory_mb": peak_memory_mb()} if look.loaded else {})},
            complete=True,
        )
        record = dataclasses.replace(record, config_hash=identity(config, record))
        run.finish_record(record)
        return dataclasses.replace(record, run_id=run.run_id, status="FINISHED")
