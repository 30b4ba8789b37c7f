"""Rules that JSON Lines and JSON documents share: what one row is, and what no row may hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MAX_ROW = 1 << 26
"""Bytes of one row; a longer one is refused unread, so that memory stays bounded."""
MAX_DEPTH = 64
"""Levels of lists and objects in one row, and of lists around rows."""

ROLE_KEYS = frozenset({"role", "from", "speaker", "author", "sender"})
CONTENT_KEYS = frozenset({"content", "value", "text", "message", "utterance"})

ROW_FIELDS = frozenset(
    {
        "messages", "message", "conversation", "conversations", "dialog", "dialogue", "turns", "chat", "history",
        "paragraphs", "qas", "answers", "tools", "functions", "choices", "labels", "label", "text", "input", "output",
        "prompt", "completion", "chosen", "rejected", "features",
    }
)  # fmt: skip
"""Names whose lists belong to one row; any other list of objects in the outermost object is a list of rows."""


class Unusable(Exception):
    """A row that parses but breaks a rule of the desk. `code` is a rejection code; `content` the row, where known."""

    def __init__(self, code: str, field: str, expected: str, found: str, content: Any = None) -> None:
        super().__init__(code)
        self.code, self.field, self.expected, self.found, self.content = code, field, expected, found, content


def is_turn(value: Any) -> bool:
    """Whether a value is one turn of a conversation: somebody speaks, and something is said."""
    if not isinstance(value, dict):
        return False
    keys = {key.strip().lower() for key in value if isinstance(key, str)}
    return not keys.isdisjoint(ROLE_KEYS) and not keys.isdisjoint(CONTENT_KEYS)


def is_part_of_turns(value: Any, turns: list[Any]) -> bool:
    """Whether a list element continues the conversation in `turns`; a turn that lost its role still belongs to it."""
    if is_turn(value):
        return True
    if not turns or not isinstance(value, dict) or len(value) > 2:
        return False
    return not {str(key).strip().lower() for key in value}.isdisjoint(CONTENT_KEYS | ROLE_KEYS)


def rows_in(value: Any, path: str, depth: int = 0) -> Iterator[tuple[Any, str]]:
    """The rows of a parsed value with their index paths: lists are opened, a list of turns is one row.

    An empty list counts as one row, which no format accepts: nothing that stands in a file goes unmentioned.
    """
    if not isinstance(value, list) or not value:
        yield value, path
        return
    if depth > MAX_DEPTH:
        raise Unusable("too_deep", "", f"at most {MAX_DEPTH} lists around a row", "more")
    turns: list[Any] = []
    for index, element in enumerate(value):
        if is_part_of_turns(element, turns):
            turns.append(element)
        else:
            yield from rows_in(element, f"{path}[{index}]", depth + 1)
    if turns:
        yield turns, path


def depth_of(value: Any, limit: int = MAX_DEPTH) -> int:
    """Levels of lists and objects in a value, counted no further than `limit` + 1."""
    level, current = 0, [value]
    while current and level <= limit:
        current = [
            child
            for parent in current
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        level += 1
    return level
