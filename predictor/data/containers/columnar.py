"""Columns: Parquet, and Arrow as written by `datasets`, read batch by batch through pyarrow."""

from __future__ import annotations

import json
import math
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from predictor.data.opening import is_gzip, open_binary
from predictor.data.record import Record
from predictor.errors import DataError

BATCH = 1024
"""Rows that are held in memory at a time."""

_FOREIGN = re.compile(r"float|double|binary|time|date|duration|decimal|interval")
"""Column types of which some values are not JSON."""


def columnar_kind(head: bytes) -> str | None:
    """`parquet` or `arrow` when the first bytes of a file say so."""
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return "arrow"
    return None


def read_columnar(
    path: Path, kind: str, name: str, class_names: Mapping[str, list[str]] | None = None
) -> Iterator[Record]:
    """The rows of a Parquet or Arrow file; integer class labels become names where the file holds the names.

    Raises:
        DataError: the file is damaged.
    """
    import pyarrow as pa

    with tempfile.TemporaryFile() as unpacked, path.open("rb") as plain:
        file: Any = plain
        if is_gzip(path):
            with open_binary(path) as packed:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
            unpacked.seek(0)
            file = unpacked
        number = 0
        try:
            schema, batches = _parquet(file) if kind == "parquet" else _arrow(file)
            labels = {**_class_names(schema.metadata or {}), **(class_names or {})}
            foreign = _FOREIGN.search(" ".join(str(column.type) for column in schema)) is not None
            for batch in batches:
                batch.validate(full=True)  # offsets of a damaged file lead outside the memory of the process
                for row in batch.to_pylist():
                    number += 1
                    if foreign:
                        row = {column: _as_json(value) for column, value in row.items()}
                    for column, names in labels.items():
                        label = row.get(column)
                        if isinstance(label, int) and 0 <= label < len(names):
                            row[column] = names[label]
                    yield Record(row, name, f"row {number}", number)
        except (pa.ArrowException, MemoryError, OSError, UnicodeDecodeError) as error:  # damage may ask for terabytes
            raise DataError(
                f"the {kind} file is damaged: {' '.join(str(error).split())[:200]}",
                where=f"{name}, after {number} rows",
                rule=f"a complete {kind} file",
                fix="copy or write the file again",
            ) from None


def _parquet(file: BinaryIO) -> tuple[Any, Iterator[Any]]:
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file)
    return parquet.schema_arrow, parquet.iter_batches(batch_size=BATCH)


def _arrow(file: BinaryIO) -> tuple[Any, Iterator[Any]]:
    import pyarrow as pa

    if file.read(6) == b"ARROW1":
        file.seek(0)
        reader = pa.ipc.open_file(file)
        return reader.schema, (reader.get_batch(index) for index in range(reader.num_record_batches))
    file.seek(0)
    stream = pa.ipc.open_stream(file)
    return stream.schema, iter(stream)


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Column → class names, from the features that `datasets` writes into the schema."""
    try:
        info = json.loads(metadata.get(b"huggingface", b"{}"))
        return feature_class_names(info.get("info", {}).get("features", {}))
    except (ValueError, AttributeError):
        return {}


def feature_class_names(features: Any) -> dict[str, list[str]]:
    """Column → class names of the ClassLabel features in the form that `datasets` saves."""
    if not isinstance(features, dict):
        return {}
    return {
        column: list(feature["names"])
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
    }


def _as_json(value: Any) -> Any:
    """The nearest JSON value: NaN and infinities are null, times and decimals text, bytes their length in words."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)
