"""Files of every format and kind, damaged in every way that a file is damaged in."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

from tests.data.samples import ROWS, json_lines, squad_document

_TOKENS = (
    b"NaN", b"-Infinity", b"1e999", b"null", b"true", b"\x00", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\r\n", b"\r",
    b"\n", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud800", b"\\u0000", b",", b":", b"[" * 200, b'{"a":' * 200, b"\t",
    "：".encode(), "中".encode("gb18030"), b'"role": "user"', b"9" * 5000, b" " * 50,
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", " ", "x", "\x00", "\ud800", [], {}, [[]], [None], {"a": 1}, "user",
    "NaN", [{"role": "user", "content": "hi"}], {"text": [], "answer_start": []}, "Context: a\nQuestion: b",
)  # fmt: skip
_SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".json.gz", ".jsonl.gz", ".parquet", ".arrow", "")


def damaged_file(folder: Path, seed: int) -> Path:
    """One file, made from its seed alone."""
    draw = random.Random(seed)
    content, suffix = _sound(draw)
    for _ in range(draw.choice((0, 1, 1, 1, 2, 3))):
        content = _damage(content, draw)
    if draw.random() < 0.1:
        content = gzip.compress(content, mtime=0)
        if draw.random() < 0.5:
            content = _damage(content, draw)
    if draw.random() < 0.15:
        suffix = draw.choice(_SUFFIXES)
    path = folder / f"case{suffix}"
    path.write_bytes(content)
    return path


def _sound(draw: random.Random) -> tuple[bytes, str]:
    name = draw.choice(tuple(ROWS))
    rows: Any = copy.deepcopy(ROWS[name][: draw.randint(1, 30)])
    if draw.random() < 0.1:
        rows += copy.deepcopy(ROWS[draw.choice(tuple(ROWS))][:5])
    if name == "squad" and draw.random() < 0.7:
        rows = squad_document(draw.randint(1, 3), draw.randint(1, 3))
    if draw.random() < 0.5:
        for _ in range(draw.randint(1, 4)):
            _replace_value(rows, draw)
    if isinstance(rows, dict) or draw.random() < 0.4:
        if draw.random() < 0.2:
            rows = [rows, [rows]]
        return json.dumps(rows, indent=draw.choice((None, 2))).encode(), ".json"
    if draw.random() < 0.3 and name in ("classification", "prompt_completion", "summarization"):
        delimiter = draw.choice(",\t;")
        lines = [delimiter.join(map(str, ROWS[name][0]))]
        lines += [delimiter.join(json.dumps(cell) for cell in row.values()) for row in ROWS[name]]
        return "\n".join(lines).encode(), {",": ".csv", "\t": ".tsv"}.get(delimiter, ".csv")
    if draw.random() < 0.25:
        return _columns(ROWS[name], draw.random() < 0.5)
    return json_lines_of(rows), ".jsonl"


def json_lines_of(rows: list[Any]) -> bytes:
    try:
        return json_lines(rows)
    except UnicodeEncodeError:  # a lone surrogate can be written as an escape only
        return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _columns(rows: list[dict], parquet: bool) -> tuple[bytes, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table, buffer = pa.Table.from_pylist(rows), io.BytesIO()
    if parquet:
        pq.write_table(table, buffer)
        return buffer.getvalue(), ".parquet"
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue(), ".arrow"


def _replace_value(rows: Any, draw: random.Random) -> None:
    """Change, remove, rename or repeat one value somewhere inside."""
    at = rows
    for _ in range(draw.randint(0, 6)):
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            return
        key = draw.choice(keys)
        if isinstance(at[key], (dict, list)) and at[key] and draw.random() < 0.75:
            at = at[key]
            continue
        action = draw.random()
        if action < 0.5:
            at[key] = copy.deepcopy(draw.choice(_VALUES))
        elif action < 0.7:
            del at[key]
        elif isinstance(at, dict):
            at[draw.choice((str(key).upper(), f"{key} ", "from", "x"))] = at.pop(key)
        else:
            at.insert(key, copy.deepcopy(draw.choice((at[key], [at[key]], [[at[key]]]))))
        return


def _damage(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    kind = draw.randrange(8)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + draw.choice(_TOKENS) + content[at:]
    if kind == 2 and content:
        at = min(at, len(content) - 1)
        return content[:at] + bytes([draw.randrange(256)]) + content[at + 1 :]
    if kind == 3:
        end = min(len(content), at + draw.randrange(200))
        return content[:at] + content[end:]
    if kind == 4:
        end = min(len(content), at + draw.randrange(400))
        return content[:end] + content[at:]
    if kind == 5:
        return content.replace(b"\n", draw.choice((b"\r\n", b"\r", b"\n\n")))
    if kind == 6:
        text = content.decode("utf-8", "ignore")
        return text.encode(draw.choice(("utf-16", "utf-16-le", "utf-32", "gb18030", "cp1252", "utf-8-sig")), "ignore")
    return draw.choice((b"", b"\xef\xbb\xbf", b"\n\n", b"garbage ", b"[")) + content
