"""Columns of runs as Arrow has them, for files that are read in a fraction of a second."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from predictor.schema.coded import Coded

if TYPE_CHECKING:
    import pyarrow


def chunk(table: pyarrow.Table, name: str) -> pyarrow.Array:
    """A column of a table whose chunks were combined."""
    import pyarrow

    column = table.column(name)
    return column.chunk(0) if column.num_chunks else pyarrow.array([], type=column.type)


def to_bytes(starts: np.ndarray, values: np.ndarray) -> pyarrow.LargeBinaryArray:
    """Bytes of the doubles between one start and the next. Parquet reads them ten times as fast as lists of numbers."""
    import pyarrow

    offsets, content = pyarrow.py_buffer(starts * values.itemsize), pyarrow.py_buffer(values)
    return pyarrow.LargeBinaryArray.from_buffers(pyarrow.large_binary(), len(starts) - 1, [None, offsets, content])


def to_doubles(column: pyarrow.LargeBinaryArray) -> tuple[np.ndarray, np.ndarray]:
    """The starts, one more than there are runs, and the values that :func:`to_bytes` was given."""
    values = np.frombuffer(column.buffers()[2] or b"").copy()
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    return offsets // values.itemsize, values


def to_coded(column: pyarrow.DictionaryArray) -> Coded:
    """A dictionary column of Arrow as one of ours."""
    return Coded(column.indices.to_numpy(zero_copy_only=False), column.dictionary.to_pylist())


def to_dictionary(column: Coded) -> pyarrow.DictionaryArray:
    """A column of texts as Arrow's."""
    import pyarrow

    return pyarrow.DictionaryArray.from_arrays(pyarrow.array(column.codes.astype(np.int32)), list(column.distinct))
