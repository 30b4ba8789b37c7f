"""The story of shares of a dataset: nested subsets fine-tuned, a curve through their scores, what more would bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.config import Sectioned, check, nested, param, section
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, keys
from predictor.trial.config import FinetuneConfig
from predictor.trial.costs import Stopwatch

if TYPE_CHECKING:
    from predictor.curriculum.curve import Curve
    from predictor.curriculum.ratios import Share
    from predictor.tracking import TrackedRun


@dataclass(frozen=True)
class Shares:
    """Which shares of the dataset are tried."""

    ratios: str = param("0.2,0.4,0.6,0.8,1.0", "shares of the rows, separated by commas, above 0 and at most 1")
    seeds: str = param("1,2,3", "seeds, separated by commas; each draws its own nested subsets")
    foretell: bool = param(False, "put beside each score what the registered predictor would have said of it")
    stage: str = param(keys.STAGE_PRODUCTION, "stage of that predictor", choices=keys.STAGES)
    model_name: str = param(keys.MODEL_NAME, "name of that predictor")
    lease_s: float = param(300.0, "seconds of silence after which another host's fine-tune counts as lost", least=2.0)


@dataclass(frozen=True)
class RatiosConfig(Sectioned):
    """Shares, and the fine-tune of each."""

    shares: Shares = section(Shares)
    trial: FinetuneConfig = nested(FinetuneConfig, without=("seed", "train_limit"))


@dataclass(frozen=True)
class RatiosResult:
    """The curve, and the run that holds it."""

    curve: Curve
    run_id: str
    seconds: float


def ratios(
    config: RatiosConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> RatiosResult:
    """Fine-tune on nested shares of a dataset: a run of its own, and one for each share and seed. Done ones are kept.

    Raises:
        ConfigError: a ratio or seed that is none. DataError: a dataset cannot be used, or a share has no row.
    """
    from predictor.curriculum.ratios import shares_of
    from predictor.tracking import tracked_run

    check(config)
    watch = Stopwatch()
    shares = shares_of(config.shares.ratios, config.shares.seeds, config.trial)
    with tracked_run(
        keys.KIND_RATIOS,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=f"ratios {config.trial.data.short_name}",
        params={f"{keys.RATIOS}{name}": str(value) for name, value in vars(config.shares).items()},
        tags={keys.TAG_DATASET: config.trial.data.dataset},
    ) as run:
        curve = _ratios(config, shares, run, progress)
        return RatiosResult(curve, run.run_id, watch.total)


def _ratios(config: RatiosConfig, shares: list[Share], run: TrackedRun, progress: Progress) -> Curve:
    from predictor.config import write_config
    from predictor.curriculum.curve import curve_of, metrics_of
    from predictor.curriculum.ratios import points_of
    from predictor.flows.sweep import make_work
    from predictor.report.ratios import ratios_figure
    from predictor.sweep import Job
    from predictor.sweep.outlook import Identity
    from predictor.tasks import configured, headline_target
    from predictor.tracking import read_record

    uri = str(run.client.tracking_uri)
    work = make_work(uri, run.experiment_id, run.run_id, "", config.shares.lease_s)
    identify = Identity(progress)
    predict = _predictor(config)
    jobs = [(share, Job(share.config, identify(share.config), share.title)) for share in shares]
    progress.stage("shares", len(jobs))
    found: list[tuple[Share, RunRecord]] = []
    for share, job in jobs:
        outcome = work(job)
        share.require(outcome.status, outcome.message)
        found.append((share, read_record(outcome.run_id, tracking_uri=uri)))
        progress.advance(1, score=outcome.score)
    task = config.trial.task
    target = headline_target(configured(task.name, task.settings))
    points = points_of(found, target, predict([record for _, record in found]))
    curve = curve_of(points, target)
    law = None if curve.law is None else (curve.law.at, curve.law.interval)
    columns = [[getattr(each, name) for each in curve.points] for name in ("rows", "score", "error", "predicted")]
    ratios_figure(columns, target.name, law, curve.enough.rows).savefig(run.artifacts / "ratios.png", dpi=110)
    run.account(curve.to_json(), "ratios.json")
    write_config(run.artifacts, config)
    run.finish(metrics={f"{keys.RATIOS}{name}": value for name, value in metrics_of(curve).items()})
    return curve


def _predictor(config: RatiosConfig) -> Callable[[list[RunRecord]], list[float]]:
    """What the registered predictor says of runs from their features; of none where it is not asked."""
    if not config.shares.foretell:
        return lambda records: []
    from predictor.curriculum.ratios import features_of
    from predictor.flows.predict import load_predictor

    predictor = load_predictor(stage=config.shares.stage, version=None, name=config.shares.model_name)
    return lambda records: predictor.predict([features_of(each) for each in records])["prediction"].tolist()
