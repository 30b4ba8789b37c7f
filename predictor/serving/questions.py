"""What a model is asked: rows of a dataset as a task puts them, rows without an answer, or the lines of a text file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from predictor.config import LAB, Expression
from predictor.data import load
from predictor.data.containers.sniff import open_rows
from predictor.data.example import Example, Message
from predictor.data.formats.messages import KEYS, prompt_turns
from predictor.data.formats.turns import ROLES
from predictor.data.opening import check_file, open_text
from predictor.data.record import Record
from predictor.data.rejection import Rejection, refused_example
from predictor.data.stream import open_stream, source_files
from predictor.errors import DataError
from predictor.serving.opening import Weights
from predictor.tasks import TASKS
from predictor.tasks.base import Task, restored
from predictor.trial.config import config_of
from predictor.trial.sources import dataset_source

_UNANSWERED: Final = ("no_answer_turn", "empty_answer", "missing_field", "wrong_type")
"""Codes of rows that may lack nothing but the answer, which nobody needs here."""
_ASKING: Final = ("prompt", "instruction", "question", "query", "text", "input", "dialogue", "document")


@dataclass(frozen=True)
class Question:
    """One thing that is asked.

    Attributes:
        turns: the chat up to where the model answers; of a text to be classified one turn, the text.
        example: the row, where it is one that a task reads.
        asked: what is put to a model that gives scores, one prompt each; none of any other model.
    """

    id: str
    turns: tuple[Message, ...]
    example: Example | None = None
    asked: tuple[Example, ...] = ()

    @property
    def shown(self) -> str:
        """The last thing that was said to the model."""
        return self.turns[-1].content

    @property
    def reference(self) -> str:
        """The answer that the row holds; empty without one."""
        return (self.example.answer or self.example.label or "") if self.example else ""

    @property
    def label(self) -> str:
        """The class that the row says its text is of; empty without one."""
        return (self.example.label or "") if self.example else ""


@dataclass(frozen=True)
class Prompts:
    """Questions, and the dataset that they are of."""

    source: str
    questions: list[Question]


def read_questions(source: str | Expression, task: Task | None) -> list[Question | Rejection]:
    """Every row of a source in its order, as a question or with the reason why it is none.

    Args:
        source: a dataset, or a `.txt` file with one question a line.
        task: puts the rows; None takes their own turns.

    Raises:
        DataError: the source cannot be read, or no row asks anything.
    """
    rows = list(_rows(source, task))
    if not any(isinstance(row, Question) for row in rows):
        first = next((f"; first {row.describe()}" for row in rows if isinstance(row, Rejection)), "")
        raise DataError(
            f"none of the {len(rows)} rows asks anything{first}",
            where=str(source),
            rule="rows of a dataset, rows with a prompt, or lines of text",
        )
    return rows


def questions_for(weights: Weights, prompts: str, most: int) -> Prompts:
    """Real prompts for tuned weights: of a dataset that is named, else of the evaluation data of their run.

    An adapter without a run is asked the lab's questions when no dataset is named.

    Args:
        most: prompts at most, the first ones.

    Raises:
        DataError: the dataset cannot be read.
    """
    source, task = prompts or f"{LAB}:evaluation", task_of(weights)
    if weights.config:
        source = prompts or config_of(weights.config).evaluation.eval_dataset
    found = [row for row in read_questions(dataset_source(source), task) if isinstance(row, Question)]
    return Prompts(source, found[:most])


def task_of(weights: Weights) -> Task | None:
    """The task that weights were tuned for, with the settings and what it had found in its rows as far as was kept.

    Returns:
        None for a task that this version of the package does not have, or that nobody named.
    """
    origin = weights.origin
    if origin.task not in TASKS:
        return None
    settings = origin.task_settings
    if not settings and weights.config:
        settings = asdict(config_of(weights.config).task.settings)
    return restored(origin.task, settings, origin.task_found)


def _rows(source: str | Expression, task: Task | None) -> Iterator[Question | Rejection]:
    if isinstance(source, Expression):
        dataset = load(source, drop_bad=True)
        yield from (_asked(example, task, str(source)) for example in dataset.examples)
        yield from dataset.rejections
    elif source.lower().endswith(".txt"):
        yield from lines_of(Path(source).expanduser())
    else:
        yield from _dataset(source, task)


def _dataset(source: str, task: Task | None) -> Iterator[Question | Rejection]:
    try:
        stream = open_stream(source)
    except DataError:
        raw = list(_unanswered(source))
        if not any(isinstance(row, Question) for row in raw):
            raise
        yield from raw
        return
    for number, (outcome, _) in enumerate(stream, 1):
        if isinstance(outcome, Example):
            yield _asked(outcome, task, source)
        else:
            turns = asks(outcome.content) if outcome.code in _UNANSWERED else None
            yield Question(_own_id(outcome.content, number), turns) if turns else outcome


def _asked(example: Example, task: Task | None, source: str) -> Question | Rejection:
    lack = task.accepts(example) if task else None
    if task and lack is not None:
        expected = f"a row that the task '{task.name}' can use"
        return refused_example(example, source, "not_for_task", expected, lack)
    turns = tuple(task.prompt(example) if task else prompt_turns(example))
    return Question(example.id, turns, example)


def _unanswered(source: str) -> Iterator[Question | Rejection]:
    """Rows of a file in no known format, of which some may ask something all the same."""
    number = 0
    for file in source_files(source):
        _, rows = open_rows(file.path, file.name, lambda text: None, file.class_names)
        for row in rows:
            number += 1
            if not isinstance(row, Record):
                yield row
            elif turns := asks(row.value):
                yield Question(_own_id(row.value, number), turns)
            else:
                expected = f"one of the fields {', '.join(_ASKING)}, or turns"
                yield row.refuse("empty_prompt", "", expected, "none of them")


def lines_of(path: Path) -> Iterator[Question | Rejection]:
    """The lines of a text file, each a question; an empty one is none."""
    check_file(path)
    with open_text(path, lambda text: None) as stream:
        for number, line in enumerate(stream, 1):
            text = line.decode("utf-8", "replace").strip()
            if text:
                yield Question(str(number), (Message("user", text),))
            else:
                yield Rejection("empty_prompt", str(path), f"line {number}", "", "text", "an empty line", "")


def asks(row: Any) -> tuple[Message, ...] | None:
    """The turns of a row that asks something and holds no answer; None when it asks nothing."""
    if isinstance(row, str):
        return (Message("user", row),) if row.strip() else None
    if not isinstance(row, Mapping):
        return None
    for key in KEYS:
        if isinstance(row.get(key), Sequence) and not isinstance(row[key], str):
            return _spoken(row[key])
    asked = next((row[name] for name in _ASKING if isinstance(row.get(name), str) and row[name].strip()), None)
    if asked is None:
        return None
    if "instruction" in row and asked is row["instruction"] and str(row.get("input") or "").strip():
        asked = f"{asked}\n{row['input']}"
    if isinstance(row.get("context"), str) and asked is row.get("question"):
        asked = f"Context: {row['context']}\nQuestion: {asked}"
    system = row.get("system")
    before = (Message("system", system),) if isinstance(system, str) and system.strip() else ()
    return (*before, Message("user", asked))


def _spoken(turns: Sequence[Any]) -> tuple[Message, ...] | None:
    found = []
    for turn in turns:
        if not isinstance(turn, Mapping):
            return None
        role = ROLES.get(str(turn.get("role", turn.get("from", ""))).strip().lower())
        content = turn.get("content", turn.get("value"))
        if role is None or not isinstance(content, str):
            return None
        found.append(Message(role, content))
    asks_something = bool(found) and found[-1].role in ("user", "tool") and bool(found[-1].content.strip())
    return tuple(found) if asks_something else None


def _own_id(row: Any, number: int) -> str:
    own = row.get("id") if isinstance(row, Mapping) else None
    return str(own) if isinstance(own, (str, int)) and str(own).strip() else str(number)
