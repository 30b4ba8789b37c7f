"""What a format is, and the few rules by which all formats read a field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from predictor.data.containers.values import Unusable
from predictor.data.example import Example
from predictor.data.record import Record
from predictor.data.rejection import Rejection, shown

Outcome = Example | Rejection


@dataclass(frozen=True)
class Guess:
    """A format's claim on a file.

    Attributes:
        share: share of the sampled rows that have the shape of the format, in (0, 1].
        reason: what was seen, in words.
        read: one raw row → its examples and rejections, under the columns that were found.
    """

    share: float
    reason: str
    read: Callable[[Record], Iterable[Outcome]]


class Format(Protocol):
    """One dataset format."""

    name: str
    needs: str
    """The fields that a row needs, in words, for messages."""

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """The claim of this format on a file, from its first raw rows; None when no row has its shape."""
        ...

    def lacks(self, example: Example) -> str | None:
        """None when the format can hold the example's content, otherwise what it cannot hold."""
        ...

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """The examples as raw rows of this format, from which `read` makes equal examples."""
        ...


def keyed(value: Mapping[str, Any]) -> dict[str, str]:
    """Plain name → the key as it is spelled: `Question `, `question` and `QUESTION` are one name."""
    return {str(key).strip().lower().replace("-", "_").replace(" ", "_"): key for key in reversed(list(value))}


def find(names: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    """The key as spelled of the first wanted name that is present."""
    return next((names[name] for name in wanted if name in names), None)


def text_of(value: Any, field: str, *, code: str = "wrong_type", expected: str = "text") -> str:
    """The text of a field; raises Unusable for another type. Numbers are refused, not silently written as text."""
    if isinstance(value, str):
        return value
    if value is None:
        raise Unusable("missing_field" if code == "wrong_type" else code, field, expected, "null")
    raise Unusable(code, field, expected, shown(value))


def filled(text: str, code: str, field: str, expected: str) -> str:
    """The text itself; raises Unusable when it is blank."""
    if not text or text.isspace():
        raise Unusable(code, field, expected, "empty text" if not text else "white space")
    return text


def missing(field: str, expected: str, value: Mapping[str, Any]) -> NoReturn:
    """Raise Unusable for an absent field, with the first keys that the row has instead."""
    raise Unusable(
        "missing_field", field, expected, f"the keys {', '.join(map(str, list(value)[:8])) or '(none)'}"[:120]
    )


def guarded(convert: Callable[[Record], Example]) -> Callable[[Record], Iterable[Outcome]]:
    """A reader of one example per row from a function that raises Unusable."""

    def read(record: Record) -> Iterable[Outcome]:
        try:
            return (convert(record),)
        except Unusable as fault:
            return (record.refuse(fault.code, fault.field, fault.expected, fault.found),)

    return read


def object_of(record: Record) -> dict[str, Any]:
    """The raw row as an object; raises Unusable when it is a bare value or a list."""
    if isinstance(record.value, dict):
        return record.value
    raise Unusable("not_an_object", "", "an object with named fields", shown(record.value))


def row_id(value: Mapping[str, Any], record: Record) -> str:
    """The row's own id when it has one, else its number."""
    own = value.get("id")
    if (isinstance(own, str) and own.strip()) or (isinstance(own, int) and not isinstance(own, bool)):
        return str(own)
    return str(record.number)


def rest_of(value: Mapping[str, Any], used: Sequence[str | None]) -> dict[str, Any]:
    """The fields that the format does not know; conversion keeps them."""
    return {str(key): item for key, item in value.items() if key not in used and key != "id"}
