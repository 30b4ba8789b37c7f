"""One JSON document of any size: a list of rows, lists in lists, or an object around lists; streamed by ijson."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from typing import Any

from predictor.data.containers.values import MAX_DEPTH, MAX_ROW, ROW_FIELDS, Unusable, is_part_of_turns
from predictor.data.record import Record
from predictor.data.rejection import Rejection, shown
from predictor.errors import DataError

Events = Iterator[tuple[str, Any]]


def read_json_document(file: io.BufferedReader, name: str, note: Callable[[str], None]) -> Iterator[Record | Rejection]:
    """The rows of a JSON document, each with its index path.

    Raises:
        DataError: the document breaks off or is malformed. Its remaining rows cannot be found again, so the file as a
            whole is refused.
    """
    import ijson

    number, last = 0, "the start"
    events: Events = ijson.basic_parse(file, use_float=True, multiple_values=True, buf_size=1 << 17)
    try:
        for event, value in events:
            for row, path in _outermost(event, value, events, note):
                number += 1
                last = path or "the start"
                if isinstance(row, Unusable):
                    yield Rejection(row.code, name, path, row.field, row.expected, row.found, row.content)
                else:
                    yield Record(row, name, path or f"row {number}", number)
    except (ijson.JSONError, ValueError) as error:
        raise _broken(error, name, number, last) from None
    except Unusable as error:
        raise DataError(
            f"the document is refused: {error.expected} expected, {error.found} found",
            where=f"{name}, after {number} rows, behind {last}",
            fix="write one flat list of rows",
        ) from None


def _broken(error: Exception, name: str, number: int, last: str) -> DataError:
    reason = " ".join(str(error).split())
    if "premature EOF" in reason or ("parse error: unallowed token" in reason and not number):
        what, fix = "the JSON document breaks off before its end", "copy or write the file again"
    elif "UTF8" in reason:
        what, fix = "the JSON document holds bytes that are not UTF-8", "save the file as UTF-8"
    elif "NaN" in reason or "Inf" in reason:
        what, fix = "the JSON document holds NaN or Infinity", "write null for a missing number"
    else:
        what, fix = "the JSON document is malformed", "check it with `python -m json.tool`"
    return DataError(
        f"{what}: {reason[:200]}",
        where=f"{name}, after {number} complete rows, behind {last}",
        rule="one complete JSON document, or one JSON value on each line (JSON Lines)",
        fix=fix,
    )


def _outermost(event: str, value: Any, events: Events, note: Callable[[str], None]) -> Iterator[tuple[Any, str]]:
    if event == "start_array":
        yield from _array(events, "", 0)
    elif event == "start_map":
        yield from _outer_object(events, note)
    else:
        yield value, ""


def _outer_object(events: Events, note: Callable[[str], None]) -> Iterator[tuple[Any, str]]:
    """An object around lists of rows, as SQuAD's `{"version": …, "data": […]}`; or one row."""
    rest: dict[str, Any] = {}
    opened: list[str] = []
    key = ""
    for event, value in events:
        if event == "end_map":
            break
        if event == "map_key":
            key = value
        elif event == "start_array" and key.lower() not in ROW_FIELDS:
            event, value = next(events)
            if event in ("start_map", "start_array"):
                opened.append(key)
                yield from _array(events, key, 0, first=(event, value))
            elif event != "end_array":
                rest[key] = [value, *_build(events, [])]
            else:
                rest[key] = []
        elif event in ("start_array", "start_map"):
            rest[key] = _build(events, [] if event == "start_array" else {})
        else:
            rest[key] = value
    if len(opened) > 1:
        note(f"the rows under the keys {', '.join(opened)} were read together")
    if not opened:
        yield rest, ""


def _array(events: Events, path: str, depth: int, first: tuple[str, Any] | None = None) -> Iterator[tuple[Any, str]]:
    """The rows of a list whose opening bracket has been read; a list of turns is one row."""
    if depth > MAX_DEPTH:
        raise Unusable("too_deep", "", f"at most {MAX_DEPTH} lists around a row", "more")
    index = 0
    turns: list[Any] = []
    event, value = first or next(events)
    while event != "end_array":
        here = f"{path}[{index}]"
        if event == "start_array":
            yield from _array(events, here, depth + 1)
        else:
            row: Any = value
            if event == "start_map":
                try:
                    row = _build(events, {})
                except Unusable as error:
                    row = error
            if is_part_of_turns(row, turns):
                turns.append(row)
            else:
                yield row, here
        index += 1
        event, value = next(events)
    if turns or (not index and depth):
        yield turns, path


def _build(events: Events, root: Any) -> Any:
    """The value whose opening bracket has been read. A value that breaks a rule is read to its end, then refused."""
    stack: list[Any] = []
    keys: list[str] = []
    current, key = root, ""
    fault: Unusable | None = None
    size = 0
    for event, value in events:
        if event == "map_key":
            if value in current and fault is None:
                fault = Unusable("duplicate_key", value[:80], "each key once", f"{shown(value, 40)} again", root)
            key = value
            continue
        if event == "end_map" or event == "end_array":
            if not stack:
                break
            current, key = stack.pop(), keys.pop()
            continue
        child = {} if event == "start_map" else [] if event == "start_array" else value
        if event == "number" and isinstance(value, float) and not math.isfinite(value):
            fault = fault or Unusable("not_finite", key, "a number that a 64-bit float can hold", "a larger one")
            child = None
        if event == "string":
            size += len(value)
            if size > MAX_ROW:
                fault = fault or Unusable("too_long", "", f"at most {MAX_ROW} characters", "more")
                child = ""
        if type(current) is dict:
            current[key] = child
        else:
            current.append(child)
        if event == "start_map" or event == "start_array":
            if len(stack) >= MAX_DEPTH:
                fault = fault or Unusable("too_deep", "", f"at most {MAX_DEPTH} levels", "more")
                _skip(events)
                continue
            stack.append(current)
            keys.append(key)
            current = child
    if fault is not None:
        raise fault
    return root


def _skip(events: Events) -> None:
    """Read past the value whose opening bracket has been read."""
    level = 1
    for event, _ in events:
        if event in ("start_map", "start_array"):
            level += 1
        elif event in ("end_map", "end_array"):
            level -= 1
            if not level:
                return
