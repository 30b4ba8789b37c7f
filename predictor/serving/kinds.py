"""Which kind of model is asked: one that writes, one with a head, one that gives scores; and its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from predictor.config import Expression
from predictor.data.rejection import Rejection
from predictor.errors import ConfigError
from predictor.models.sampling import Sampling
from predictor.serving.answering import Asking
from predictor.serving.classifying import Classifying
from predictor.serving.opening import CLASSIFICATION, Opened
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
        task: Task | None = classification_of(opened.weights) if opened.weights else Classification()
    else:
        task = _task(opened, task_name)
    if isinstance(task, Classification) and task.labels:
        texts = read_texts(source, task, columns=columns, bare=opened.classifier is not None)
        if told := foreign_labels(texts, task.labels):
            note(told)
        return texts, Classifying() if opened.classifier is not None else Writing(task, sampling, most)
    if any(columns):
        raise ConfigError(
            f"{opened.name} is no classifier: text_column and label_column are not read",
            where="-P text_column, -P label_column",
            rule="only the rows of a classifier have a text column",
            fix="leave them out",
        )
    if isinstance(task, Scoring) and task.scale is not None:
        return read_rated(source, task), Rating(task, sampling, most)
    return read_questions(source, task), Writing(task, sampling, most)


def _task(opened: Opened, name: str) -> Task | None:
    if opened.weights is None or name not in (AUTO, opened.task):
        return None if name == AUTO else TASKS.get(name, where="-P task")
    return scoring_of(opened.weights) if opened.task == Scoring.name else task_of(opened.weights)


def _refuse_unread(opened: Opened, task_name: str, sampling: Sampling) -> None:
    if task_name not in (AUTO, CLASSIFICATION):
        raise ConfigError(
            f"{opened.name} is a classifier, which task={task_name} cannot put rows to",
            where=f"-P task={task_name}",
            rule="a model with a head says classes",
            fix=f"leave task out, or task={CLASSIFICATION}",
        )
    if not sampling.greedy:
        raise ConfigError(
            f"{opened.name} is a classifier, and draws nothing: temperature and repetition_penalty are not read",
            where="-P temperature, -P repetition_penalty",
            rule="a classifier says the likeliest class, and the probability of each",
            fix="leave them out",
        )
