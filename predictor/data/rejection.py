"""A row that was refused, and the codes under which rows are refused."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from predictor.data.example import Example

CODES: Mapping[str, str] = {
    "bad_json": "the row is not one complete JSON value",
    "bad_encoding": "the row holds bytes that are not text in the file's encoding",
    "bad_unicode": "the row holds a lone surrogate, which no UTF-8 file can hold",
    "null_character": "the row holds a null character",
    "duplicate_key": "the row names one key twice, so its content is ambiguous",
    "not_finite": "the row holds NaN or Infinity, which JSON does not have",
    "too_deep": "the row nests deeper than the desk reads",
    "too_long": "the row is longer than the desk reads",
    "not_an_object": "the row is a bare value where an object with named fields is needed",
    "column_count": "the row has more or fewer cells than the header",
    "missing_field": "a field that the format needs is absent",
    "wrong_type": "a field holds another type than the format needs",
    "empty_prompt": "nothing is asked: the prompt, question or text is empty",
    "empty_answer": "there is nothing to learn: the answer is empty",
    "missing_role": "a turn does not say who speaks",
    "unknown_role": "a turn is spoken by someone the desk does not know",
    "no_prompt_turn": "nobody speaks before the answer",
    "no_answer_turn": "the conversation does not end with an answer of the assistant",
    "unsupported_content": "a turn holds something other than text",
    "bad_label": "the label is not one class name or whole number",
    "bad_score": "the score is not a finite number",
    "not_for_task": "the row is sound, but lacks what the chosen task reads",
    "over_max_length": "prompt and answer take more tokens than max_length, and a cut answer would teach to stop early",
    "not_convertible": "the row holds content for which the target format has no place",
}
"""Every code with the rule that it stands for."""

KEPT_CONTENT = 1 << 20
"""Characters of a refused row's original content that are kept."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused row.

    Attributes:
        code: a key of `CODES`.
        file: the file that holds the row.
        row: `line N`, `row N`, the index path in a JSON document (`data[0].paragraphs[2].qas[1]`), or `id …` of a row
            that was read and then refused.
        field: the field that breaks the rule; empty when the row as a whole does.
        expected: what would have been accepted.
        found: what was received, shortened.
        content: the original row: a JSON value, or text when it could not be parsed.
    """

    code: str
    file: str
    row: str
    field: str
    expected: str
    found: str
    content: Any

    def as_json(self) -> dict[str, Any]:
        """The line of `rejected.jsonl`; text beyond `KEPT_CONTENT` characters is cut, and the cut is stated."""
        entry: dict[str, Any] = {
            "code": self.code,
            "file": self.file,
            "row": self.row,
            "field": self.field,
            "expected": self.expected,
            "found": self.found,
            "content": self.content,
        }
        if isinstance(self.content, str) and len(self.content) > KEPT_CONTENT:
            entry["content"] = self.content[:KEPT_CONTENT]
            entry["content_cut_from"] = len(self.content)
        return entry

    def describe(self) -> str:
        """One line for messages: where the row is, what is wrong with it, what was expected and what found."""
        field = f", field '{self.field}'" if self.field else ""
        text = f"{self.row}{field}: {self.code} (expected {self.expected}, found {self.found})"
        return text.encode("utf-8", "backslashreplace").decode()  # a key may hold what no file and no console can


def refused_example(example: Example, source: str, code: str, expected: str, found: str) -> Rejection:
    """A row of a source that was read and then refused.

    It is known by its id; where it stood in the file, only the reader knew.
    """
    content = {name: value for name, value in dataclasses.asdict(example).items() if value}
    return Rejection(code, source, f"id {example.id}", "", expected, found, content)


def shown(value: Any, limit: int = 80) -> str:
    """A short, printable form of what was found."""
    if isinstance(value, str):
        text = repr(value[: limit + 1])
    elif isinstance(value, Mapping):
        text = f"an object with {', '.join(repr(key)[:40] for key in list(value)[:6]) or 'no keys'}"
    elif isinstance(value, (list, tuple)):
        text = f"a list of {len(value)}"
    elif value is None:
        text = "null"
    else:
        try:
            text = json.dumps(value)
        except (TypeError, ValueError):
            text = repr(value)
    return text if len(text) <= limit else text[:limit] + "…"


def summarise(rejections: Iterable[Rejection]) -> dict[str, int]:
    """Counts by code, the commonest first."""
    return dict(Counter(rejection.code for rejection in rejections).most_common())
