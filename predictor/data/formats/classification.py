"""Classification tables: a text column and a label column, told by their names or, failing that, by their values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from predictor.data.containers.values import Unusable
from predictor.data.example import Example
from predictor.data.formats.base import Guess, filled, guarded, keyed, missing, object_of, rest_of, row_id, text_of
from predictor.data.formats.prompt_completion import COMPLETION
from predictor.data.formats.summarization import SUMMARY
from predictor.data.record import Record
from predictor.data.rejection import shown

TEXT = (
    "text", "sentence", "content", "review", "review_body", "comment", "tweet", "document", "utterance", "body",
    "description", "headline", "title", "question", "query", "news", "文本", "内容", "评论",
)  # fmt: skip
PAIRS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("text1", "text2"))
LABEL = (
    "label", "labels", "class", "category", "sentiment", "intent", "topic", "emotion", "gold_label", "label_text",
    "coarse_label", "polarity", "stars", "rating", "target", "class_label", "标签", "类别",
)  # fmt: skip
_RIVALS = frozenset({*COMPLETION, *SUMMARY, "answers", "messages", "conversations"} - {"target"})
_FEW_ROWS = 20


@dataclass(frozen=True)
class Columns:
    """The columns of a table: one or two that are read as the text, and the one that is the label."""

    texts: tuple[str, ...]
    label: str


class Classification:
    """`text` and `label`; other columns stay in `extra`. Several text columns are joined by a line break.

    Args:
        columns: those to read; None tells them from the rows.
        labelled: each row must have a label. Otherwise a row whose label is absent, or is none, has a text alone: so
            are rows read that a classifier is asked for.
    """

    name = "classification"
    needs = "a text column (text, sentence, review, …) and a label column (label, category, sentiment, …)"

    def __init__(self, columns: Columns | None = None, *, labelled: bool = True) -> None:
        self._columns = columns
        self._labelled = labelled
        if columns is not None:
            self.needs = f"the columns {', '.join(self._needed(columns))}"
        elif not labelled:
            self.needs = "a text column (text, sentence, review, …)"

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """A claim by the names of two columns; a claim by their values alone counts half."""
        rows = [value for value in sample if isinstance(value, dict)]
        if not rows:
            return None
        columns, weight = self._columns or _by_name(rows), 1.0
        if columns is None and not self._labelled:
            columns = _texts_by_name(rows)
        if columns is None:
            columns, weight = _by_values(rows), 0.5
        if columns is None:
            return None
        known = sum(all(column in row for column in self._needed(columns)) for row in rows)
        if not known:
            return None
        how = "named" if weight == 1.0 else "told by their values"
        label = f"the label column '{columns.label}'" if columns.label else "no label column"
        reason = (
            f"{known} of {len(sample)} sampled rows hold the text column '{' + '.join(columns.texts)}' "
            f"and {label}, {how}"
        )
        needed = self._needed(columns)
        return Guess(weight * known / len(sample), reason, guarded(lambda record: _convert(record, columns, needed)))

    def _needed(self, columns: Columns) -> tuple[str, ...]:
        return (*columns.texts, columns.label) if self._labelled else columns.texts

    def lacks(self, example: Example) -> str | None:
        """None for an example with a text and a label, otherwise the one that is missing."""
        if example.text is None:
            return "a text"
        return None if example.label is not None else "a label"

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """A label that is a whole number is written as a number; `extra` stands beside text and label."""
        for example in examples:
            label: Any = example.label or ""
            if label.lstrip("-").isdecimal() and str(int(label)) == label:
                label = int(label)
            yield {"id": example.id, "text": example.text, "label": label, **example.extra}


def _by_name(rows: Sequence[Mapping[str, Any]]) -> Columns | None:
    for row in rows[:_FEW_ROWS]:
        names = keyed(row)
        if not names.keys().isdisjoint(_RIVALS):
            continue
        label = next((names[name] for name in LABEL if name in names), None)
        if label is None or isinstance(row[label], (dict, list)):
            continue
        if label.lower() == "target" and not _is_low(rows, label):
            continue
        if texts := _text_columns(row, names, label):
            return Columns(texts, label)
    return None


def _texts_by_name(rows: Sequence[Mapping[str, Any]]) -> Columns | None:
    """The text columns of rows that have no label column."""
    for row in rows:
        names = keyed(row)
        if names.keys().isdisjoint(_RIVALS) and (texts := _text_columns(row, names, "")):
            return Columns(texts, "")
    return None


def _text_columns(row: Mapping[str, Any], names: Mapping[str, str], label: str) -> tuple[str, ...]:
    """The one or two columns of a row that are read as its text; none when it has none beside the label."""
    text = next((names[name] for name in TEXT if name in names and isinstance(row[names[name]], str)), None)
    if text is not None and text != label:
        return (text,)
    return next(((names[a], names[b]) for a, b in PAIRS if a in names and b in names), ())


def _by_values(rows: Sequence[Mapping[str, Any]]) -> Columns | None:
    """The column of running text, and the column of few short values, when exactly such columns are there."""
    if len(rows) < _FEW_ROWS:
        return None
    columns = [column for column in rows[0] if all(column in row for row in rows)]
    prose = {column: _mean_words(rows, column) for column in columns}
    text = max(prose, key=lambda column: prose[column], default=None)
    if text is None or prose[text] < 3 or not keyed(rows[0]).keys().isdisjoint(_RIVALS):
        return None
    labels = [column for column in columns if column != text and _is_low(rows, column)]
    return Columns((text,), labels[0]) if len(labels) == 1 else None


def _mean_words(rows: Sequence[Mapping[str, Any]], column: str) -> float:
    """Words of a mostly distinct text column; wide scripts count two characters as a word."""
    texts = [row[column] for row in rows if isinstance(row[column], str)]
    if len(texts) < len(rows) or len(set(texts)) < 0.5 * len(texts):
        return 0.0
    words = sum(len(text.split()) + sum(character > "\u2e80" for character in text) // 2 for text in texts)
    return words / len(texts)


def _is_low(rows: Sequence[Mapping[str, Any]], column: str) -> bool:
    """Whether a column has at least two and few distinct, short values."""
    values = [row.get(column) for row in rows]
    if any(isinstance(value, (dict, list, float)) for value in values):
        return False
    texts = {str(value) for value in values}
    return 2 <= len(texts) <= max(2, len(rows) // 4) and max(map(len, texts)) <= 40


def _convert(record: Record, columns: Columns, needed: Sequence[str]) -> Example:
    value = object_of(record)
    for column in needed:
        if column not in value:
            missing(column, f"'{column}'", value)
    parts = [filled(text_of(value[column], column), "empty_prompt", column, "text") for column in columns.texts]
    used = (columns.label, *(columns.texts if len(parts) == 1 else ()))
    return Example(
        id=row_id(value, record),
        text="\n".join(parts),
        label=_label(value[columns.label], columns.label) if columns.label in needed else _label_if_any(value, columns),
        extra=rest_of(value, used),
    )


def _label_if_any(value: Mapping[str, Any], columns: Columns) -> str | None:
    try:
        return _label(value.get(columns.label) if columns.label else None, columns.label)
    except Unusable:
        return None


def _label(value: Any, field: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str) and value.strip():
        return value.strip()
    if value is None:
        raise Unusable("missing_field", field, "a class name or whole number", "null")
    raise Unusable("bad_label", field, "a class name or whole number", shown(value))
