"""What a worker of a sweep does with one job: claim it in the store, fine-tune, report."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from predictor.errors import LeaseLost, ResultsWait
from predictor.schema import keys
from predictor.sweep import Job, Outcome


def make_work(tracking_uri: str, experiment: str, parent: str, plan: str, lease_s: float) -> Callable[[Job], Outcome]:
    """The worker's function; its imports and its client to the store are made once.

    Args:
        experiment, parent: ids of the experiment and of the sweep's run.
        plan: digest of the plan, a tag of each run.
        lease_s: seconds of silence after which the run may be taken over.
    """
    import torch
    from mlflow import MlflowClient

    from predictor.flows.finetune import finetune, run_name
    from predictor.tasks import TASKS
    from predictor.tracking import connect
    from predictor.tracking.lease import Refusal, claim
    from predictor.tracking.patience import PatientClient

    # A worker that was forked after the import of torch has the thread count of that time.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    client = PatientClient(MlflowClient(connect(tracking_uri)))

    def work(job: Job) -> Outcome:
        started = time.perf_counter()
        score = f"{keys.SCORE}{TASKS.get(job.config.task).headline}"
        tags = {
            keys.TAG_KIND: keys.KIND_FINETUNE,
            keys.TAG_SCHEMA: str(keys.SCHEMA_VERSION),
            keys.TAG_PLAN: plan,
            keys.TAG_DATASET: job.config.dataset,
        }
        claimed = claim(
            client,
            experiment,
            job.identity,
            run_name=run_name(job.config),
            tags=tags,
            parent=parent,
            lease_s=lease_s,
        )
        prepared = time.perf_counter() - started
        if isinstance(claimed, Refusal):
            value = float("nan")
            if claimed.reason == "done":
                value = client.get_run(claimed.run_id).data.metrics.get(score, value)
            return Outcome(job, claimed.reason, claimed.run_id, value, time.perf_counter() - started, prepared)
        status, value, message = "finished", float("nan"), ""
        try:
            with claimed:
                value = finetune(job.config, lease=claimed).scores[score.removeprefix(keys.SCORE)]
        except LeaseLost as error:
            status, message = "busy", error.one_line()
        except ResultsWait as error:
            message = error.one_line()
        return Outcome(job, status, claimed.run_id, value, time.perf_counter() - started, prepared, message)

    return work
