"""The story of a sweep: read the plan, see what is done, run the rest on workers, survive whatever happens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.config import check, param
from predictor.errors import ConfigError, LeaseLost, ResultsWait
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.sweep import Job, Outcome
from predictor.sweep.outlook import Identity, Outlook, Wishes, headline_of, look_ahead, make_sampler, standings
from predictor.trial.costs import Stopwatch

if TYPE_CHECKING:
    from predictor.sweep import Plan
    from predictor.sweep.driver import Tally
    from predictor.sweep.placement import Placement
    from predictor.sweep.samplers import Interest
    from predictor.tracking import TrackedRun

_FAR = ("ray", "slurm")
"""Executors whose workers may be on other machines."""
_LIVE_S = 20.0
"""Seconds between two versions of the table in the sweep's artifacts."""


@dataclass(frozen=True)
class SweepConfig:
    """Which plan is carried out, in which order, and on what."""

    plan: str = param("", "a .yaml or .json file: datasets, hp, seeds, base_models and parameters of finetune")
    executor: str = param("process", "where the fine-tunes run: process (warm workers), inline, ray or slurm")
    address: str = param(
        "", "of Ray: local (also empty), auto, HOST:PORT or ray://HOST:PORT; of submitit: slurm (also empty) or local"
    )
    folder: str = param("", "that all machines of a Slurm cluster see; empty takes slurm in the working folder")
    workers: int = param(1, "worker processes, which share the cores and GPUs", least=1)
    threads: int = param(0, "torch threads of each worker; 0 divides the cores", least=0)
    sampler: str = param("grid", "order of the runs: grid, random, tpe (on the score) or suggest (by the predictor)")
    max_runs: int = param(0, "fine-tunes to consider in that order, done ones included; 0 takes all", least=0)
    resume: bool = param(True, "go on where earlier sweeps of this experiment were; false wants none of its runs done")
    retries: int = param(1, "further attempts for a fine-tune that failed", least=0)
    retry_set_aside: bool = param(False, "try those again that failed or crashed too often")
    dry_run: bool = param(False, "check the plan, say what would run and how long it takes, and run nothing")
    lease_s: float = param(300.0, "seconds of silence after which another host's fine-tune counts as lost", least=2.0)
    stage: str = param(keys.STAGE_PRODUCTION, "stage of the predictor that sampler=suggest asks")
    model_name: str = param(keys.MODEL_NAME, "name of that predictor")


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
    """Carry out a plan: a run of its own, and one for each fine-tune, linked to it. What is done is not done again.

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
    watch = Stopwatch()
    params = {f"{keys.SWEEP}{name}": str(value) for name, value in dataclasses.asdict(config).items()}
    with tracked_run(
        keys.KIND_SWEEP,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=f"sweep {Path(config.plan).stem}",
        params=params,
        tags={keys.TAG_PLAN: plan.digest},
    ) as run:
        return _sweep(config, plan, run, progress, watch)


def _sweep(config: SweepConfig, plan: Plan, run: TrackedRun, progress: Progress, watch: Stopwatch) -> SweepResult:
    from predictor.report.results import write_results
    from predictor.sweep import EXECUTORS
    from predictor.sweep.driver import drive
    from predictor.sweep.live_table import LiveTable
    from predictor.sweep.warm import IMPORTS
    from predictor.tracking import read_records, spool
    from predictor.tracking.lease import reap
    from predictor.tracking.store import prepare_for_many
    from predictor.tracking.tables import read_hits

    uri = str(run.client.tracking_uri)
    prepare_for_many(uri)
    for ended in reap(run.client, run.experiment_id):
        progress.note(f"run {ended.info.run_id} was abandoned by its process and is ended")
    name = run.client.get_experiment(run.experiment_id).name
    records = read_records([name], tracking_uri=uri)
    identify = Identity(progress)
    wishes = Wishes(config.sampler, config.max_runs, config.retries, config.workers)
    interest = _interest(config, plan, progress)
    standing = standings(records, retry=config.retry_set_aside)
    fresh = make_sampler(wishes, plan, records, interest)
    outlook = look_ahead(wishes, plan, fresh, identify, standing, records, progress)
    (run.artifacts / "plan.yaml").write_text(Path(config.plan).read_text(encoding="utf-8"), encoding="utf-8")
    if config.dry_run:
        run.finish()
        return SweepResult(outlook, run.run_id, None, watch.total)
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
        make_work,
        settings,
        workers=config.workers,
        threads=config.threads,
        imports=IMPORTS,
        placement=_placement(config, plan, uri),
    )

    def on_death(outcome: Outcome) -> None:
        said = keys.FAILURE_CRASHED if outcome.status == "crashed" else "killed by "
        reap(run.client, run.experiment_id, f"{said}{outcome.message}")

    try:
        tally = drive(
            plan,
            make_sampler(wishes, plan, records, interest),
            executor,
            standing,
            identify,
            retries=config.retries,
            most=config.max_runs or None,
            sign=headline_of(plan).sign,
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
    complete = [each for each in read_records([name], tracking_uri=uri) if each.config_hash in live.identities]
    hits = {each.run_id: read_hits(run.client, each.run_id) for each in complete} if plan.compares_methods else {}
    write_results(run.artifacts, complete, hits, headline_of(plan).name)
    run.finish(metrics=live.metrics(tally, watch.total))
    return SweepResult(outlook, run.run_id, tally, watch.total)


def _placement(config: SweepConfig, plan: Plan, uri: str) -> Placement:
    """What the executor is told of other machines."""
    from predictor.sweep.placement import Freight, Placement, freight_of
    from predictor.tracking.store import is_local_store

    first = next(plan.combinations(), {}) if not plan.has_ranges else {}
    contexts = (plan.config(dataset, base, plan.seeds[0], first) for dataset, base in plan.contexts)
    return Placement(
        address=config.address,
        folder=config.folder,
        resources=plan.resources,
        freight=freight_of(contexts) if config.executor in _FAR else Freight(),
        local_store=is_local_store(uri),
    )


def _interest(config: SweepConfig, plan: Plan, progress: Progress) -> Interest | None:
    """How much a run would teach by the registered predictor, when the order of the runs depends on it."""
    if config.sampler != "suggest":
        return None
    from predictor.flows.predict import load_predictor
    from predictor.sweep.interest import interest_of

    predictor = load_predictor(stage=config.stage, version=None, name=config.model_name)
    return interest_of(predictor.predict, predictor.bundle.target.sign, plan, progress)


def make_work(tracking_uri: str, experiment: str, parent: str, plan: str, lease_s: float) -> Callable[[Job], Outcome]:
    """What a worker does with one job: claim it in the store, fine-tune, report. Imports and client are made once.

    Args:
        experiment, parent: ids of the experiment and of the sweep's run.
        plan: digest of the plan, a tag of each run.
        lease_s: seconds of silence after which the run may be taken over.
    """
    import os

    import torch
    from mlflow import MlflowClient

    from predictor.flows.finetune import finetune
    from predictor.tasks import TASKS
    from predictor.tracking import connect
    from predictor.tracking.lease import Refusal, claim
    from predictor.tracking.patience import PatientClient

    # A worker that was forked after the import of torch has the thread count of that time.
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads())))
    client = PatientClient(MlflowClient(connect(tracking_uri)))

    def work(job: Job) -> Outcome:
        watch, config = Stopwatch(), job.config
        headline = TASKS.get(config.task.name).headline
        tags = {
            keys.TAG_KIND: keys.KIND_FINETUNE,
            keys.TAG_SCHEMA: str(keys.SCHEMA_VERSION),
            keys.TAG_PLAN: plan,
            keys.TAG_DATASET: config.data.dataset,
        }
        claimed = claim(
            client,
            experiment,
            job.identity,
            run_name=job.title or config.title,
            tags=tags,
            parent=parent,
            lease_s=lease_s,
        )
        prepared = watch.total
        if isinstance(claimed, Refusal):
            value = float("nan")
            if claimed.reason == "done":
                value = client.get_run(claimed.run_id).data.metrics.get(f"{keys.SCORE}{headline}", value)
            return Outcome(job, claimed.reason, claimed.run_id, value, watch.total, prepared)
        status, value, message = "finished", float("nan"), ""
        try:
            with claimed:
                value = finetune(config, lease=claimed).scores[headline]
        except LeaseLost as error:
            status, message = "busy", error.one_line()
        except ResultsWait as error:
            message = error.one_line()
        return Outcome(job, status, claimed.run_id, value, watch.total, prepared, message)

    return work
