"""Near-duplicate texts by MinHash and locality-sensitive hashing."""

from __future__ import annotations

import re
import zlib
from typing import Any

PERMUTATIONS = 64
SHINGLE = 3
"""Tokens in a shingle: words, and single characters of scripts that are written without spaces."""
_TOKEN = re.compile(r"[぀-鿿가-힯]|[^\W぀-鿿가-힯]+")


def shingles(text: str) -> list[bytes]:
    """The distinct shingles of a text; a text shorter than one shingle is its own."""
    tokens = _TOKEN.findall(text.casefold())
    if len(tokens) <= SHINGLE:
        return [" ".join(tokens).encode("utf-8", "surrogatepass")]
    runs = zip(*(tokens[start:] for start in range(SHINGLE)), strict=False)
    return [run.encode("utf-8", "surrogatepass") for run in {" ".join(run) for run in runs}]


class NearIndex:
    """Texts under keys; finds those whose estimated Jaccard similarity of shingles reaches the threshold.

    MinHash (Broder 1997) of `PERMUTATIONS` permutations: the estimate's standard error is at most 0.0625.
    """

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHash, MinHashLSH

        self.threshold = threshold
        # Candidates are checked by their estimate, so a missed text costs more than a candidate too many. Above 0.9 so
        # few permutations make no two bands.
        self._lsh = MinHashLSH(threshold=min(threshold, 0.9), num_perm=PERMUTATIONS, weights=(0.1, 0.9))
        self._blank = MinHash(num_perm=PERMUTATIONS, hashfunc=zlib.crc32)
        self._sketches: dict[int, Any] = {}

    def sketch(self, text: str) -> Any:
        """The MinHash of a text, which `near` looks up and `insert` keeps."""
        sketch = self._blank.copy()
        sketch.update_batch(shingles(text))
        return sketch

    def near(self, sketch: Any) -> list[int]:
        """Keys of near texts, in no particular order."""
        return [key for key in self._lsh.query(sketch) if sketch.jaccard(self._sketches[key]) >= self.threshold]

    def insert(self, key: int, sketch: Any) -> None:
        """Add a text under a key that is not in use yet."""
        self._sketches[key] = sketch
        self._lsh.insert(key, sketch, check_duplication=False)


class Merged:
    """Disjoint sets of keys; each set is named by its smallest key, so that names do not depend on the order."""

    def __init__(self) -> None:
        from scipy.cluster.hierarchy import DisjointSet

        self._sets: Any = DisjointSet()
        self._smallest: dict[int, int] = {}
        """Representative of a set, which scipy chooses → its smallest key."""

    def find(self, key: int) -> int:
        """The name of the key's set; a key that was never joined is its own."""
        return self._smallest[self._sets[key]] if key in self._sets else key

    def join(self, a: int, b: int) -> None:
        """Make one set of the sets of two keys; a key that is new comes as a set of its own."""
        name = min(self.find(a), self.find(b))
        for key in (a, b):
            self._sets.add(key)
        self._sets.merge(a, b)
        self._smallest[self._sets[a]] = name

    def names(self) -> dict[int, int]:
        """Every key that was joined → the name of its set."""
        return {key: self.find(key) for key in self._sets}
