"""Which kind of model is asked: one that writes, one with a head, one that gives scores; and its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from predictor.config import Expression
from predictor.data.rejection import Rejection
from predictor.errors import ConfigError
from predictor.models.sampling import Sampling
from predictor.serving.answering import Asking
from predictor.serving.classifying import Classifying
from predictor.serving.head_rating import HeadRating
from predictor.serving.opening import Opened
from predictor.serving.questions import Question, read_questions, task_of
from predictor.serving.rating import Rating
from predictor.serving.rows import classification_of, foreign_labels, read_rated, read_texts, scoring_of
from predictor.serving.writing import Writing
from predictor.tasks import TASKS
from predictor.tasks.base import Task
from predictor.tasks.classification import Classification
from predictor.tasks.scoring import Scoring

AUTO = "auto"


def asking_of(
    opened: Opened,
    source: str | Expression,
    task_name: str,
    *,
    sampling: Sampling,
    most: int,
    columns: tuple[str, str] = ("", ""),
    note: Callable[[str], None] = lambda text: None,
) -> tuple[Sequence[Question | Rejection], Asking]:
    """The rows of a source as a model reads them, and how it is asked.

    Args:
        task_name: as what rows are put; `auto`: as the model was tuned for.
        sampling, most: how a model that writes chooses tokens, and how many at most.
        columns: of text and label, where the source has others than the model's training rows.
        note: told what a person should know of the rows.

    Raises:
        ConfigError: a parameter that this kind of model does not read. DataError: the rows cannot be read.
    """
    if opened.classifier is not None:
        _refuse_unread(opened, task_name, sampling)
    if opened.bounds is not None and opened.weights is not None:
        _refuse_columns(opened, columns)
        scoring = scoring_of(opened.weights)
        return read_rated(source, scoring), HeadRating(scoring)
    if opened.classifier is not None:
        task: Task | None = classification_of(opened.weights) if opened.weights else Classification()
    else:
        task = _task(opened, task_name)
    if isinstance(task, Classification) and task.labels:
        texts = read_texts(source, task, columns=columns, bare=opened.classifier is not None)
        if told := foreign_labels(texts, task.labels):
            note(told)
        return texts, Classifying() if opened.classifier is not None else Writing(task, sampling, most)
    _refuse_columns(opened, columns)
    if isinstance(task, Scoring) and task.scale is not None:
        return read_rated(source, task), Rating(task, sampling, most)
    return read_questions(source, task), Writing(task, sampling, most)


def _task(opened: Opened, name: str) -> Task | None:
    if opened.weights is None or name not in (AUTO, opened.task):
        return None if name == AUTO else TASKS.get(name, where="-P task")
    return scoring_of(opened.weights) if opened.task == Scoring.name else task_of(opened.weights)


def _refuse_columns(opened: Opened, columns: tuple[str, str]) -> None:
    if any(columns):
        raise ConfigError(
            f"{opened.name} is no classifier: text_column and label_column are not read",
            where="-P text_column, -P label_column",
            rule="only the rows of a classifier have a text column",
            fix="leave them out",
        )


def _refuse_unread(opened: Opened, task_name: str, sampling: Sampling) -> None:
    scores = opened.bounds is not None
    what = "a model with a head that gives scores" if scores else "a classifier"
    if task_name not in (AUTO, opened.task):
        raise ConfigError(
            f"{opened.name} is {what}, which task={task_name} cannot put rows to",
            where=f"-P task={task_name}",
            rule="a model with a head says what it was taught to: classes or scores",
            fix=f"leave task out, or task={opened.task}",
        )
    if not sampling.greedy:
        raise ConfigError(
            f"{opened.name} is {what}, and draws nothing: temperature and repetition_penalty are not read",
            where="-P temperature, -P repetition_penalty",
            rule="a model with a head writes nothing of which tokens could be drawn",
            fix="leave them out",
        )
