"""How often a part of a large dataset is found to share its rows, by the tag alone and with the row hashes beside it.

`python -m benchmarks.shared_rows`
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from predictor.flows.row_hashes import write_row_hashes

from predictor.data.fingerprint import KEPT_ONE_IN, SKETCH_SIZE
from predictor.table import dataset_groups

TRIALS = 1000


def tag(rows: np.ndarray) -> str:
    return "".join(f"{row:010x}" for row in np.sort(rows)[:SKETCH_SIZE])


def rate(parent: int, size: int, kept: bool, rng: np.random.Generator) -> float:
    """The share of parts of `size` rows that are in the group of their parent of `parent` rows."""
    found = trials = 0
    while trials < TRIALS:
        rows = np.unique(rng.integers(0, 2**40, parent))
        more = rows[rows < 2**40 // KEPT_ONE_IN]
        parts = rng.permutation(rows)[: len(rows) // size * size].reshape(-1, size)[: TRIALS - trials]
        sketches = {"a parent": tag(rows), **{f"part {k}": tag(part) for k, part in enumerate(parts)}}
        groups = dataset_groups(sketches, {tag(rows): more} if kept and len(more) >= SKETCH_SIZE else None)
        found += sum(name == "a parent" for name in groups.values()) - 1
        trials += len(parts)
    return found / trials


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'rows':>8} {'part':>6} {'tag':>8} {'row hashes':>11}")
    for parent in (1_000, 50_000, 500_000):
        for size in (64, 256, 4_096):
            if size < parent:
                shares = [rate(parent, size, kept, rng) for kept in (False, True)]
                print(f"{parent:>8} {size:>6} {100 * shares[0]:>7.1f}% {100 * shares[1]:>10.1f}%")
    with tempfile.TemporaryDirectory() as folder:
        for parent in (50_000, 500_000):
            rows = np.unique(rng.integers(0, 2**40, parent))
            kept = rows[rows < 2**40 // KEPT_ONE_IN]
            write_row_hashes(Path(folder) / "a.parquet", kept)
            print(f"{parent} rows: {len(kept)} hashes, {(Path(folder) / 'a.parquet').stat().st_size} bytes")


if __name__ == "__main__":
    main()
