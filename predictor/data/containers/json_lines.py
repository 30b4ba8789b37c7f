"""JSON Lines: one JSON value on each line, read in bounded memory."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from typing import Any

from predictor.data.containers.values import MAX_DEPTH, MAX_ROW, Unusable, depth_of, rows_in
from predictor.data.record import Record
from predictor.data.rejection import Rejection, shown


def read_json_lines(file: io.BufferedReader, name: str) -> Iterator[Record | Rejection]:
    """The rows of a JSON Lines file; blank lines are not rows, and a line that cannot be parsed is one refused row."""
    number = line_number = 0
    readline, decode = file.readline, _DECODER.raw_decode
    while line := readline(MAX_ROW + 1):
        line_number += 1
        if len(line) > MAX_ROW:
            yield _too_long(file, line, name, line_number)
            continue
        if line.isspace():
            continue
        fault: Unusable
        try:
            text = line.decode().strip(" \t\r\n")
            value, end = decode(text)
            if end != len(text):
                raise json.JSONDecodeError("Extra data", text, end)
            if line.count(b"{") + line.count(b"[") > MAX_DEPTH and depth_of(value) > MAX_DEPTH:
                raise Unusable("too_deep", "", f"at most {MAX_DEPTH} levels", "more")
            if type(value) is dict:
                number += 1
                yield Record(value, name, f"line {line_number}", number)
                continue
            if type(value) is list:
                for row, path in rows_in(value, f"line {line_number}"):
                    number += 1
                    yield Record(row, name, path, number)
                continue
            fault = Unusable("not_an_object", "", "an object with named fields", shown(value))
        except UnicodeDecodeError as error:
            found = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
            fault = Unusable("bad_encoding", "", "UTF-8 text", found)
        except Unusable as error:
            fault = error
        except RecursionError:
            fault = Unusable("too_deep", "", f"at most {MAX_DEPTH} levels", "more")
        except json.JSONDecodeError as error:
            fault = Unusable("bad_json", "", "one complete JSON value", f"{error.msg} at column {error.colno}")
        except ValueError as error:  # a whole number with thousands of digits
            fault = Unusable("bad_json", "", "one complete JSON value", str(error)[:80])
        content = line.decode("utf-8", "backslashreplace").rstrip("\r\n")
        yield Rejection(fault.code, name, f"line {line_number}", fault.field, fault.expected, fault.found, content)


def _too_long(file: io.BufferedReader, start: bytes, name: str, line_number: int) -> Rejection:
    length = len(start)
    while not start.endswith(b"\n"):
        start_of_rest = file.readline(MAX_ROW)
        if not start_of_rest:
            break
        length += len(start_of_rest)
        if start_of_rest.endswith(b"\n"):
            break
    content = start[:1000].decode("utf-8", "backslashreplace")
    return Rejection(
        "too_long", name, f"line {line_number}", "", f"at most {MAX_ROW} bytes", f"{length} bytes", content
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise Unusable("duplicate_key", double[:80], "each key once", f"{keys.count(double)} times {shown(double, 40)}")
    return value


def _constant(text: str) -> Any:
    raise Unusable("not_finite", "", "finite numbers (null for a missing one)", text)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Unusable("not_finite", "", "a number that a 64-bit float can hold", text[:40])
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
