"""The story of a sweep: read the plan, see what is done, run the rest on workers, survive whatever happens."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.config import check, param
from predictor.errors import ConfigError
from predictor.flows.meta import MODEL_NAME
from predictor.flows.sweep_outlook import Identity, Outlook, look_ahead, make_sampler, standings
from predictor.progress import SILENT, Progress
from predictor.schema import keys

if TYPE_CHECKING:
    from predictor.sweep import Plan
    from predictor.sweep.driver import Tally

_LIVE_S = 20.0
"""Seconds between two versions of the table in the sweep's artifacts."""


@dataclass(frozen=True)
class SweepConfig:
    """Which plan is carried out, in which order, and on what."""

    plan: str = param("", "a .yaml file: datasets, hp, seeds, base_models and fields of finetune")
    executor: str = param("process", "where the fine-tunes run: process (warm workers) or inline")
    workers: int = param(1, "worker processes, which share the cores and GPUs", least=1)
    threads: int = param(0, "torch threads of each worker; 0 divides the cores", least=0)
    sampler: str = param("grid", "order of the runs: grid, random, tpe (on the score) or suggest (by the predictor)")
    max_runs: int = param(0, "fine-tunes to consider in that order, done ones included; 0 takes all", least=0)
    resume: bool = param(True, "go on where earlier sweeps of this experiment were; false wants none of its runs done")
    retries: int = param(1, "further attempts for a fine-tune that failed", least=0)
    retry_set_aside: bool = param(False, "try those again that failed or crashed too often")
    dry_run: bool = param(False, "check the plan, say what would run and how long it takes, and run nothing")
    lease_s: float = param(300.0, "seconds of silence after which another host's fine-tune counts as lost", least=2.0)
    stage: str = param("Production", "stage of the predictor that sampler=suggest asks")
    model_name: str = param(MODEL_NAME, "name of that predictor")


@dataclass(frozen=True)
class SweepResult:
    """What came of it; `tally` is None after a dry run."""

    outlook: Outlook
    run_id: str
    tally: Tally | None
    seconds: float


def sweep(
    config: SweepConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> SweepResult:
    """Carry out a plan: a parent run with a child run for each fine-tune. What is done is not done again.

    Raises:
        ConfigError: the plan breaks a rule, or resume=false and some of it is done. DataError: a dataset cannot be
            used. TrackingError: the store cannot be reached.
    """
    from predictor.sweep import EXECUTORS, SAMPLERS, read_plan
    from predictor.tracking import tracked_run

    check(config)
    plan = read_plan(config.plan)
    EXECUTORS.get(config.executor, where="-P executor")
    SAMPLERS.get(config.sampler, where="-P sampler")
    started = time.perf_counter()
    params = {f"sweep/{field.name}": str(getattr(config, field.name)) for field in dataclasses.fields(config)}
    with tracked_run(
        keys.KIND_SWEEP,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=f"sweep {Path(config.plan).stem}",
        params=params,
        tags={keys.TAG_PLAN: plan.digest},
    ) as run:
        return _sweep(config, plan, run, progress, started)


def _sweep(config: SweepConfig, plan: Plan, run, progress: Progress, started: float) -> SweepResult:  # noqa: ANN001
    from predictor.flows.sweep_table import LiveTable
    from predictor.flows.sweep_work import make_work
    from predictor.sweep import EXECUTORS
    from predictor.sweep.driver import drive
    from predictor.tracking import read_records, spool
    from predictor.tracking.lease import CRASHED, reap
    from predictor.tracking.store import prepare_for_many

    uri = str(run.client.tracking_uri)
    prepare_for_many(uri)
    for ended in reap(run.client, run.experiment_id):
        progress.note(f"run {ended.info.run_id} was abandoned by its process and is ended")
    name = run.client.get_experiment(run.experiment_id).name
    records = read_records([name], tracking_uri=uri)
    identify = Identity(progress)
    sampler = make_sampler(config, plan, records, progress)
    standing = standings(records, retry=config.retry_set_aside)
    outlook = look_ahead(config, plan, identify, standing, records, progress)
    (run.artifacts / "plan.yaml").write_text(Path(config.plan).read_text(encoding="utf-8"), encoding="utf-8")
    if config.dry_run:
        run.finish()
        return SweepResult(outlook, run.run_id, None, time.perf_counter() - started)
    for line in outlook.lines():
        progress.note(line)
    if not config.resume and outlook.done:
        raise ConfigError(
            f"{outlook.done} fine-tunes of the plan are done in experiment '{name}'",
            where="-P resume=false",
            rule="resume=false wants none of them",
            fix="-P resume=true, or another experiment (mlflow run --experiment-name NAME)",
        )
    live = LiveTable(run, progress, outlook.runs, _LIVE_S)
    settings = {
        "tracking_uri": uri,
        "experiment": run.experiment_id,
        "parent": run.run_id,
        "plan": plan.digest,
        "lease_s": config.lease_s,
    }
    executor = EXECUTORS.get(config.executor)(
        make_work, settings, workers=config.workers, threads=config.threads, imports="predictor.flows.sweep_imports"
    )

    def on_death(outcome) -> None:  # noqa: ANN001
        reason = f"{CRASHED}{outcome.message}" if outcome.status == "crashed" else f"killed by {outcome.message}"
        reap(run.client, run.experiment_id, reason)

    try:
        tally = drive(
            plan,
            sampler,
            executor,
            standing,
            identify,
            retries=config.retries,
            most=config.max_runs or None,
            on_outcome=live.add,
            on_death=on_death,
        )
    finally:
        executor.close()
        # A worker that a signal met between the making of a run and its first write knows nothing of that run.
        reap(run.client, run.experiment_id, "its worker ended with the sweep")
        for line in spool.deliver(run.client):
            progress.note(line)
        live.write(run.artifacts)
    live.close(tally)
    run.finish(metrics=live.metrics(tally, time.perf_counter() - started))
    return SweepResult(outlook, run.run_id, tally, time.perf_counter() - started)
