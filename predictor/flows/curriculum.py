"""The story of a curriculum: stages that go on from one another, and the same rows in no order beside them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.config import check, param
from predictor.errors import TrainingError
from predictor.files import whole_folder
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, keys
from predictor.trial.costs import Stopwatch

if TYPE_CHECKING:
    from predictor.curriculum.plan import Course
    from predictor.curriculum.result import CourseResult
    from predictor.curriculum.stages import Chain
    from predictor.sweep import Job, Outcome
    from predictor.tracking import TrackedRun


@dataclass(frozen=True)
class CurriculumConfig:
    """Which plan of stages is carried out."""

    config: str = param("", "a .yaml or .json file: tasks, stages, hp, seeds and parameters of finetune")
    control: str = param(
        "", "true also learns the same rows in no order; empty: as the plan says", choices=("", "true", "false")
    )
    stage_dir: str = param(
        "outputs/curriculum", "folder for the adapters of stages, from which the next ones go on and a killed plan too"
    )
    dry_run: bool = param(False, "check the plan, say which stages there are, and run nothing")
    lease_s: float = param(300.0, "seconds of silence after which another host's fine-tune counts as lost", least=2.0)


@dataclass(frozen=True)
class CurriculumResult:
    """`outcome` is None after a dry run; `stages` says what there is to do, one line each."""

    stages: tuple[str, ...]
    outcome: CourseResult | None
    run_id: str
    seconds: float


def curriculum(
    config: CurriculumConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> CurriculumResult:
    """Carry out a plan: a run of its own, and one for each stage, linked to it. What is done is not done again.

    Raises:
        ConfigError: the plan breaks a rule. DataError: a dataset cannot be used. TrainingError: another process trains
            one of its stages.
    """
    from predictor.curriculum.plan import read_course
    from predictor.curriculum.stages import chains_of, check_chains
    from predictor.tracking import tracked_run

    check(config)
    watch = Stopwatch()
    course = read_course(config.config).with_control(config.control)
    chains = chains_of(course)
    check_chains(chains, progress)
    stages = tuple(f"{step.title}: {step.config.data.dataset}" for chain in chains for step in chain.steps)
    with tracked_run(
        keys.KIND_CURRICULUM,
        experiment=experiment,
        tracking_uri=tracking_uri,
        run_name=f"curriculum {Path(config.config).stem}",
        params={f"{keys.CURRICULUM}{name}": str(value) for name, value in vars(config).items()},
        tags={keys.TAG_PLAN: course.digest},
    ) as run:
        (run.artifacts / "plan.yaml").write_text(Path(config.config).read_text(encoding="utf-8"), encoding="utf-8")
        outcome = None if config.dry_run else _curriculum(config, course, chains, run, progress)
        if outcome is None:
            run.finish()
        return CurriculumResult(stages, outcome, run.run_id, watch.total)


def _curriculum(
    config: CurriculumConfig, course: Course, chains: list[Chain], run: TrackedRun, progress: Progress
) -> CourseResult:
    from predictor.curriculum.result import CourseResult
    from predictor.finetune.start import WEIGHTS
    from predictor.flows.sweep import make_work
    from predictor.report.curriculum import course_figure
    from predictor.sweep.outlook import Identity

    uri = str(run.client.tracking_uri)
    work = make_work(uri, run.experiment_id, run.run_id, course.digest, config.lease_s)
    identify = Identity(progress)
    found: dict[tuple[str, int], list[RunRecord]] = {}
    progress.stage("stages", sum(len(chain.steps) for chain in chains))
    for chain in chains:
        start = ""
        for step in chain.steps:
            told = step.config.replace(start_from=start)
            record, identity = _done(work, told, identify, step.title, uri)
            found.setdefault((chain.kind, chain.seed), []).append(record)
            start = str(Path(config.stage_dir) / identity / "adapter")
            if not (Path(start) / WEIGHTS).is_file():
                _fetch(run, record.run_id, Path(start))
            progress.advance(1, score=record.scores["overall"])
        if chain is chains[0]:
            shutil.copytree(start, run.artifacts / "adapter")
    result = CourseResult.of(found, [stage.name for stage in course.stages])
    course_figure(result.panels(), result.stages, result.verdict.words).savefig(run.artifacts / "stages.png", dpi=110)
    run.table("stages.json", *result.table())
    run.finish(metrics={f"{keys.CURRICULUM}{name}": value for name, value in result.metrics().items()})
    return result


def _done(
    work: Callable[[Job], Outcome], config: object, identify: Callable[..., str], title: str, uri: str
) -> tuple[RunRecord, str]:
    """The complete run of a stage, made now or before, and its identity."""
    from predictor.sweep import Job
    from predictor.tracking import read_record

    identity = identify(config)
    outcome = work(Job(config, identity, title))  # type: ignore[arg-type]
    if outcome.status not in ("finished", "done"):
        raise TrainingError(
            f"the stage '{title}' is {outcome.status}: {outcome.message or 'another process trains it'}",
            where=f"run {outcome.run_id}",
            rule="a stage begins when the one before it is done",
            fix="wait for the other process, then start the plan again: it goes on where it was",
        )
    return read_record(outcome.run_id, tracking_uri=uri), identity


def _fetch(run: TrackedRun, run_id: str, folder: Path) -> None:
    """Bring the adapter of a run into a folder, whole or not at all."""
    with whole_folder(folder) as aside, tempfile.TemporaryDirectory(prefix="predictor-adapter-") as fetched:
        there = run.client.download_artifacts(run_id, "adapter", fetched)
        shutil.copytree(there, aside, dirs_exist_ok=True)
