"""From a plan to the fine-tunes of its stages: which rows, in which order, from which weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from predictor.config.names import DEAL, JOIN
from predictor.curriculum.plan import Course, Member
from predictor.curriculum.settled import settled_settings
from predictor.curriculum.shares import rows_of_tasks
from predictor.data import load
from predictor.data.operators.deal import presentations
from predictor.progress import Progress
from predictor.tasks.several import Several, SeveralSettings, members_text
from predictor.trial.config import FinetuneConfig, finetune_config
from predictor.trial.materials import gather
from predictor.trial.sources import dataset_source

ORDERED: Final = "curriculum"
CONTROL: Final = "control"


@dataclass(frozen=True)
class Step:
    """One fine-tune of a chain: the stage's number from 1, its title, and its configuration without a start."""

    number: int
    title: str
    config: FinetuneConfig


@dataclass(frozen=True)
class Chain:
    """The stages of one seed, in the plan's order or, as control, the same rows in none."""

    kind: str
    seed: int
    steps: tuple[Step, ...]


def chains_of(course: Course) -> list[Chain]:
    """All chains of a plan.

    Raises:
        DataError: a dataset cannot be read. ConfigError: a stage without rows, or values that do not go together.
    """
    course, counts = _read(course)
    kinds = (ORDERED, CONTROL) if course.control else (ORDERED,)
    return [Chain(kind, seed, tuple(_steps(course, counts, kind, seed))) for seed in course.seeds for kind in kinds]


def check_chains(chains: Sequence[Chain], progress: Progress) -> None:
    """Read every dataset of every stage; raises what a fine-tune would raise of it, before anything is trained."""
    steps = [step for chain in chains for step in chain.steps]
    progress.stage("check the plan", len(steps))
    for step in steps:
        gather(step.config)
        progress.advance(1)


def _read(course: Course) -> tuple[Course, list[dict[str, int]]]:
    """The plan with tasks that know their scales, and the rows of each task in each stage.

    A task's rows are counted as its fine-tune reads them. What it finds in them it finds once: a stage's part of the
    rows must not change what is asked.
    """
    fields = Several(SeveralSettings(_members(course))).fields or None
    members: dict[str, Member] = {}
    available: dict[str, int] = {}
    for name, member in course.members.items():
        train, evaluation = (
            load(dataset_source(each), drop_bad=True, fields=fields).examples
            for each in (member.dataset, member.eval_dataset)
        )
        available[name] = len(train)
        members[name] = replace(member, settings=settled_settings(member.kind, member.settings, train, evaluation))
    counts = [
        rows_of_tasks(
            {task: available[task] for task in stage.tasks},
            stage.ratio,
            stage.weights,
            course.sampling,
            f"stage '{stage.name}'",
        )
        for stage in course.stages
    ]
    return replace(course, members=members), counts


def _steps(course: Course, counts: Sequence[Mapping[str, int]], kind: str, seed: int) -> list[Step]:
    datasets, epochs, sizes = [], [], []
    for stage, of_task in zip(course.stages, counts, strict=True):
        parts = [(task, _sliced(course.members[task].dataset, rows, seed)) for task, rows in of_task.items()]
        datasets.append(written(JOIN, [], parts))
        configured = finetune_config(**{**course.hp, **stage.hp})
        epochs.append(configured.hyperparameters.training.epochs)
        sizes.append(presentations(sum(of_task.values()), epochs[-1]))
    found = []
    for number, stage in enumerate(course.stages, start=1):
        own: dict[str, Any] = {"dataset": datasets[number - 1], "order": "by_task" if course.by_task else "random"}
        if kind == CONTROL:
            options = [f"sizes={'-'.join(map(str, sizes))}", f"part={number - 1}", f"seed={seed}"]
            readings = [(f"{times:g}", dataset) for times, dataset in zip(epochs, datasets, strict=True)]
            own = {"dataset": written(DEAL, options, readings), "order": "as_given", "epochs": 1.0}
        values = {**course.fixed, **course.hp, **stage.hp, **own}
        config = finetune_config(
            **values,
            task="several",
            several_members=_members(course),
            eval_dataset=written(JOIN, [], [(name, m.eval_dataset) for name, m in course.members.items()]),
            base_model=course.base_model,
            seed=seed,
            keep_optimizer=course.keep_optimizer,
        )
        title = f"{kind} {number}/{len(course.stages)} {stage.name} s{seed}"
        found.append(Step(number, title, config))
    return found


def written(operator: str, options: Sequence[str], parts: Sequence[tuple[str, str]]) -> str:
    """The name of a dataset of several: each with the word before it, in brackets where it has commas of its own."""
    held = (f"{word}:({name})" if "," in name else f"{word}:{name}" for word, name in parts)
    return ":".join([operator, *options, ",".join(held)])


def _sliced(dataset: str, rows: int, seed: int) -> str:
    """So many rows; of the same seed fewer rows are among more."""
    return f"slice:size={rows}:seed={seed}:{dataset}"


def _members(course: Course) -> str:
    return members_text({name: {"task": member.kind, **member.settings} for name, member in course.members.items()})
