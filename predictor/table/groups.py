"""Datasets that share rows are one group: a model tested on one of them has seen the others."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from predictor.errors import TableError
from predictor.schema import keys

SHARE = 0.01
"""Two sketches share rows when they have this part of the smaller one in common, and at least one hash."""
_DIGITS = 10
"""Hexadecimal digits of a row's hash."""


def dataset_groups(sketches: Mapping[str, str]) -> dict[str, str]:
    """Dataset → name of its group, from dataset → hashes of its rows, one after the other (bottom-k sketches do).

    Groups are the connected components of "shares rows", named after their smallest member, so that the result does not
    depend on the order of the datasets. A dataset without a sketch is a group of its own.

    Raises:
        TableError: a sketch does not consist of hashes of ten hexadecimal digits.
    """
    parent = {name: name for name in sketches}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    # Datasets with equal sketches join at once, which keeps the counting below linear for repeated subsets.
    first: dict[str, str] = {}
    for name in sorted(sketches):
        if sketches[name]:
            parent[name] = first.setdefault(sketches[name], name)
    holders: dict[int, list[str]] = defaultdict(list)
    size: dict[str, int] = {}
    for name, (size[name], rows) in _repeated({name: sketches[name] for name in sorted(first.values())}).items():
        common: Counter[str] = Counter()
        for row in rows:
            common.update(holders[row])
            holders[row].append(name)
        for other, count in common.items():
            if count >= max(1.0, SHARE * min(size[name], size[other])):
                a, b = sorted((root(name), root(other)))
                parent[b] = a
    return {name: root(name) for name in sketches}


def _repeated(sketches: Mapping[str, str]) -> dict[str, tuple[int, set[int]]]:
    """Dataset → how many hashes it has, and those of them that stand more than once in all sketches together.

    Most rows stand in one dataset only, and many sketches are in it with none: these are left out.
    """
    try:
        hashes = np.concatenate([np.empty(0, np.int64), *map(_numbers, sketches.values())])
    except ValueError:
        raise _not_hashes(sketches) from None
    ordered = np.sort(hashes)
    repeated = np.isin(hashes, ordered[1:][ordered[1:] == ordered[:-1]])
    found = {}
    start = 0
    for name, sketch in sketches.items():
        end = start + len(sketch) // _DIGITS
        if repeated[start:end].any():
            found[name] = len(set(hashes[start:end].tolist())), set(hashes[start:end][repeated[start:end]].tolist())
        start = end
    return found


def _numbers(sketch: str) -> np.ndarray:
    """(hashes,) as integers; a ValueError if they are none."""
    digits = np.frombuffer(bytes.fromhex(sketch), dtype=np.uint8).reshape(len(sketch) // _DIGITS, -1)
    padded = np.zeros((len(digits), 8), dtype=np.uint8)
    padded[:, -_DIGITS // 2 :] = digits
    return padded.view(">u8")[:, 0].astype(np.int64)


def _not_hashes(sketches: Mapping[str, str]) -> TableError:
    whole = re.compile(f"([0-9a-f]{{{_DIGITS}}})*")
    name, sketch = next((name, sketch) for name, sketch in sketches.items() if not whole.fullmatch(sketch))
    return TableError(
        f"row sketch {sketch[:40]!r}{'…' if len(sketch) > 40 else ''} of {len(sketch)} characters holds no row hashes",
        where=f"runs of dataset {name}, tag {keys.TAG_ROW_SKETCH}",
        rule=f"{_DIGITS} hexadecimal digits for each row, as the fine-tune wrote them",
        fix="delete the tag from these runs: nothing is then known of rows that the dataset shares with others",
    )
