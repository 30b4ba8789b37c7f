"""Rows of a file as a classifier reads them (a text, and perhaps its class) or a model that gives scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from predictor.config import Expression
from predictor.data import load
from predictor.data.example import Example, Message
from predictor.data.formats.base import Format
from predictor.data.formats.classification import Classification as Table
from predictor.data.formats.classification import Columns
from predictor.data.formats.score import Score
from predictor.data.rejection import Rejection, refused_example
from predictor.data.stream import open_stream
from predictor.errors import ConfigError, DataError, ModelError
from predictor.models.classifier import is_classifier, read_saved
from predictor.serving.opening import Weights
from predictor.serving.questions import Prompts, Question, lines_of, read_questions, task_of
from predictor.tasks.classification import Classification
from predictor.tasks.scoring import Scoring
from predictor.trial.config import config_of
from predictor.trial.materials import gather
from predictor.trial.sources import dataset_source

Row = Question | Rejection


def classification_of(weights: Weights) -> Classification:
    """The task of a classifier, with its classes and the columns that it was taught from.

    An earlier version of the package kept the classes beside the weights, and what the data called them not at all.
    """
    task = task_of(weights)
    made = task if isinstance(task, Classification) else Classification()
    if made.labels is None and is_classifier(weights.folder):
        labels = read_saved(weights.folder).labels
        names = {str(number): label for number, label in enumerate(labels)} if made.options.label_names else {}
        return made.with_found({"labels": labels, "names": names})
    return made


def scoring_of(weights: Weights) -> Scoring:
    """The task of a model that gives scores, with the scale that it was taught.

    Where the scale was not kept beside the weights it is found again in the rows of the fine-tune.

    Raises:
        ModelError: these rows are not to be had.
    """
    task: Any = task_of(weights)
    if task.scale is not None:
        return task  # type: ignore[no-any-return]
    try:
        if not weights.config:
            raise DataError("the folder does not say which rows it was taught")
        found: Any = gather(config_of(weights.config)).task
    except DataError as error:
        raise ModelError(
            f"the scale that the model gives scores on is not known: {error.what}",
            where=f"run {weights.run_id}" if weights.run_id else str(weights.folder),
            rule="origin.json beside the weights holds it, or the rows of the fine-tune are on this machine",
            fix="bring the rows to where the run names them, or -P task=chat takes the rows' own turns",
        ) from error
    return found  # type: ignore[no-any-return]


def read_texts(
    source: str | Expression, task: Classification, *, columns: tuple[str, str] = ("", ""), bare: bool = True
) -> list[Row]:
    """Every row of a source in its order, as a text to be classified or with the reason why it is none.

    A table is read by its text column, with or without a label column; rows of any other format by what they ask.

    Args:
        task: of the classifier; names the classes, and the columns where nobody else does.
        columns: of text and label in this source; several text columns are separated by commas.
        bare: the turn is the text itself, which a model with a head reads; else the text as the task puts it.

    Raises:
        DataError: the source cannot be read, or no row holds a text.
    """

    def asked(example: Example) -> Row:
        row = replace(example, label=None if example.label is None else task.target(example))
        turns = [Message("user", task.plain_text(row))] if bare else task.prompt(row)
        return Question(row.id, tuple(turns), row)

    def of_turns(row: Row) -> Row:
        return asked(Example(row.id, text=row.shown)) if isinstance(row, Question) else row

    if isinstance(source, str) and source.lower().endswith(".txt"):
        return [of_turns(row) for row in read_questions(source, None)]
    format = Table(_columns(task, *columns), labelled=False)
    try:
        rows = list(_read(source, format, asked))
    except DataError as lack:
        if columns[0]:
            raise
        try:
            rows = [of_turns(row) for row in read_questions(source, None)]
        except DataError:
            raise lack from None
    return _some(rows, source, "text", "a table with a text column (-P text_column=… names it), rows with a prompt, or "
                 "lines of text")  # fmt: skip


def read_rated(source: str | Expression, task: Scoring) -> list[Row]:
    """Every row of a source in its order, as what a model is to score or with the reason why it is nothing of the kind.

    Rows have scores or none; with `scoring_together`, rows of one input that all have scores are one row.

    Raises:
        DataError: the source cannot be read, or no row can be scored.
    """
    examples: list[Example] = []
    refused: list[Rejection] = []
    for row in _rated(source, task):
        if isinstance(row, Example):
            examples.append(row)
        else:
            refused.append(row)

    def asked(example: Example) -> Row:
        try:
            if not (example.question or "").strip():
                raise DataError("lacks a prompt", rule="a prompt, and what is rated")
            parts = task.asked_of(example)
        except DataError as error:
            return refused_example(example, str(source), "not_for_task", error.rule or "", error.what)
        turns = tuple(turn for part in parts for turn in task.prompt(part))
        return Question(example.id, turns, example, tuple(parts))

    rows: list[Row] = [*map(asked, task.merged(examples)), *refused]
    return _some(rows, source, "prompt", "rows with a prompt, and what is rated as company_info, or lines of text")


def texts_for(weights: Weights, texts: str, most: int) -> Prompts:
    """Real texts for a classifier: of a dataset that is named, else those that its run was scored on.

    Raises:
        ConfigError: neither is known. DataError: the dataset cannot be read.
    """
    if texts:
        rows = read_texts(dataset_source(texts), classification_of(weights))
        return Prompts(texts, [row for row in rows if isinstance(row, Question)][:most])
    if not weights.config:
        raise ConfigError(
            "no texts are known on which the merged classifier could be compared",
            where=str(weights.folder),
            rule="the rows that a run was scored on, or a dataset of texts",
            fix="-P run_id=RUN instead of its folder, or -P prompts=FILE",
        )
    config = config_of(weights.config)
    found = [Question(each.id, (Message("user", each.text or ""),), each) for each in gather(config).scored[:most]]
    return Prompts(config.evaluation.eval_dataset or config.data.dataset, found)


def _columns(task: Classification, text_column: str, label_column: str) -> Columns | None:
    """The columns to read: those that were named for this source, else for the fine-tune; None tells them."""
    texts = tuple(part.strip() for part in text_column.split(",") if part.strip())
    if texts:
        return Columns(texts, label_column)
    if label_column:
        raise ConfigError(
            "label_column is named, and text_column is not",
            where="-P label_column",
            rule="a label stands beside a text",
            fix="-P text_column=… too",
        )
    return Columns(*task.columns) if task.columns else None


def _read(source: str | Expression, format: Format, made: Callable[[Example], Row]) -> Iterator[Row]:
    if isinstance(source, Expression):
        dataset = load(source, format=format, drop_bad=True)
        yield from map(made, dataset.examples)
        yield from dataset.rejections
    else:
        for outcome, _ in open_stream(source, format=format):
            yield made(outcome) if isinstance(outcome, Example) else outcome


def _rated(source: str | Expression, task: Scoring) -> Iterator[Example | Rejection]:
    if isinstance(source, Expression):
        dataset = load(source, drop_bad=True, fields=task.fields)
        yield from dataset.examples
        yield from dataset.rejections
        return
    if source.lower().endswith(".txt"):
        for row in lines_of(Path(source).expanduser()):
            yield Example(row.id, question=row.shown) if isinstance(row, Question) else row
        return
    try:
        stream = open_stream(source, fields=task.fields)
    except DataError:
        stream = None
    if stream is None or stream.format == Score.name:
        stream = open_stream(source, format=Score(scored=False), fields=task.fields)
    for outcome, _ in stream:
        yield outcome


def _some(rows: list[Row], source: object, lack: str, rule: str) -> list[Row]:
    if any(isinstance(row, Question) for row in rows):
        return rows
    first = next((f"; first {row.describe()}" for row in rows if isinstance(row, Rejection)), "")
    raise DataError(f"none of the {len(rows)} rows holds a {lack}{first}", where=str(source), rule=rule)


def foreign_labels(rows: Iterable[Row], labels: Sequence[str]) -> str:
    """What a person should know of labels that are no class of the model; empty where all are."""
    held = [row.label for row in rows if isinstance(row, Question) and row.label]
    foreign = [label for label in held if label not in labels]
    if not foreign:
        return ""
    named = ", ".join(repr(label) for label in dict.fromkeys(foreign[:5]))
    return (
        f"WARNING: {len(foreign)} of {len(held)} labels ({named}) are no class of the model "
        f"({', '.join(labels[:12])}) and count as wrong"
    )
