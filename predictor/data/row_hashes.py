"""More row hashes of a large dataset than a tag can hold, as a small file.

A tag takes 512 hashes. Of a dataset of n rows that is one in n / 512, so a dataset of 64 of its rows is mostly missed
from some tens of thousands of rows on. One hash in twelve finds it in 99.6 % of cases; that is 0.25 bytes for a row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from predictor.files import whole_file

FILE: Final = "row_hashes.parquet"
_COLUMN: Final = "row_hash"


def write_row_hashes(path: Path, hashes: np.ndarray) -> None:
    """Write the hashes; differences of sorted hashes are stored, in about three bytes each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({_COLUMN: pa.array(hashes, pa.int64())})
    with whole_file(path, "wb") as stream:
        pq.write_table(table, stream, use_dictionary=False, column_encoding={_COLUMN: "DELTA_BINARY_PACKED"})


def read_row_hashes(path: Path) -> np.ndarray:
    """(hashes,) sorted integers, as :func:`write_row_hashes` wrote them."""
    import pyarrow.parquet as pq

    return pq.read_table(path).column(_COLUMN).to_numpy().astype(np.int64)
