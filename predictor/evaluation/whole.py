"""One evaluation from end to end: everything is measured once, then judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from predictor.data import Example, subsample
from predictor.evaluation.advice import Facts, advise
from predictor.evaluation.judging import Judged, OpenJudge, marked
from predictor.evaluation.measure import ask, heart_rows, measure_original, rows_table, task_result
from predictor.evaluation.measured import OriginalResult, Retention, lost_beyond
from predictor.evaluation.originals import Original
from predictor.evaluation.overfitting import Curve, judge
from predictor.evaluation.result import Evaluated
from predictor.evaluation.settings import Comparison
from predictor.evaluation.verdict import decide
from predictor.progress import SILENT, Progress
from predictor.tasks.base import Task

if TYPE_CHECKING:
    from predictor.evaluation.measure import Asked
    from predictor.evaluation.pair import Pair

_REPEATED: Final = 32
"""Questions that are read once more, in other batches."""
Table = tuple[list[str], list[list[Any]]]


@dataclass(frozen=True)
class Subject:
    """The fine-tune that is evaluated, as far as it is known.

    Attributes:
        title, run_id, base_model: see :class:`~predictor.evaluation.result.Evaluated`.
        task: None where no evaluation data are named. scored: the questions that the fine-tune is scored on.
        train: rows that it learnt from; none where they are not known.
        curves: of the run. seeds: standard deviations between seeds of the same fine-tune.
    """

    title: str
    base_model: str
    run_id: str = ""
    task: Task | None = None
    scored: Sequence[Example] = ()
    train: Sequence[Example] = ()
    facts: Facts = field(default_factory=Facts)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    seeds: Mapping[str, float] = field(default_factory=dict)


def evaluate_pair(
    pair: Pair,
    subject: Subject,
    originals: Sequence[Original],
    settings: Comparison,
    progress: Progress = SILENT,
    open_judge: OpenJudge | None = None,
) -> tuple[Evaluated, Table | None]:
    """Everything that is asked of base and fine-tune, the verdict and the advice.

    Args:
        open_judge: lends a model that marks the answers to the task. Its marks decide nothing.

    Returns:
        The result, and the table of the task's questions with both models' answers; None without a task.
    """
    from predictor.evaluation.likelihood import repeat_noise

    asked: Asked | None = None
    judged: Judged | None = None
    rows = None
    repeat = math.nan
    if subject.task is not None and subject.scored:
        questions = subsample(subject.scored, settings.questions, seed=0)
        progress.stage("ask about the task", 2 * len(questions))
        asked = ask(pair, subject.task, questions, progress)
        known = subsample(subject.train, settings.train_questions, seed=0) if settings.train_questions else ()
        if known:
            progress.stage("ask about training rows", 2 * len(known))
            rows = heart_rows(subject.task, ask(pair, subject.task, known, progress), asked)
        if asked.looked:
            repeat = repeat_noise(pair, asked.sequels[:_REPEATED], asked.looked[:_REPEATED])
        if open_judge is not None:
            progress.stage("mark the answers", 4 * len(questions))
            with open_judge() as lent:
                answers = asked.base.answers, asked.tuned.answers
                judged = marked(lent, subject.task, questions, *answers, progress.advance)
    measured: list[OriginalResult] = []
    retention: Retention | None = None
    for original in originals:
        progress.stage(f"original task {original.name}")
        found, kept = measure_original(pair, original, settings, progress)
        measured.append(found)
        retention = kept or retention
    task = task_result(subject.task, asked, judged) if subject.task is not None and asked is not None else None
    overfitting = None
    if rows is not None or subject.curves.get("eval/loss"):
        overfitting = judge(subject.curves, rows, kept_best=subject.facts.early_stopping)
    limit = settings.max_forgetting
    verdict, rule = decide(task, measured, limit)
    divergences = [each.divergence for each in measured if math.isfinite(each.divergence)]
    divergence = sum(divergences) / len(divergences) if divergences else math.nan
    result = Evaluated(
        title=subject.title,
        run_id=subject.run_id,
        base_model=subject.base_model,
        limit=limit,
        task=task,
        originals=tuple(measured),
        retention=retention,
        overfitting=overfitting,
        repeat=repeat,
        verdict=verdict,
        rule=rule,
        advice=advise(subject.facts, task, lost_beyond(measured, limit), overfitting, divergence),
        notes=(*(_left_out(original) for original in originals if original.left_out), *_told(judged, open_judge)),
        seeds=dict(subject.seeds),
        curves={key: tuple(points) for key, points in subject.curves.items()},
    )
    table = rows_table(subject.task, asked, judged) if subject.task is not None and asked is not None else None
    return result, table


def _told(judged: Judged | None, asked: OpenJudge | None) -> tuple[str, ...]:
    if judged is not None:
        return (judged.note,)
    return ("the judge had nothing to mark: no question of the task was asked",) if asked is not None else ()


def _left_out(original: Original) -> str:
    return f"{original.name}: {original.left_out} rows were trained on and are left out"
