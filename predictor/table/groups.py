"""Datasets that share rows are one group: a model tested on one of them has seen the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np

SHARE = 0.01
"""Two sketches share rows when they have this part of the smaller one in common, and at least one hash."""


def dataset_groups(sketches: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Dataset → name of its group, from dataset → hashes of its rows (bottom-k sketches are enough).

    Groups are the connected components of "shares rows", named after their smallest member, so that the result does not
    depend on the order of the datasets. A dataset without a sketch is a group of its own.
    """
    parent = {name: name for name in sketches}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    # In their own order first: sketches come sorted, and to sort them again is then cheap.
    rows = {name: tuple(sorted(dict.fromkeys(sketch))) for name, sketch in sketches.items()}
    # Datasets with equal sketches join at once, which keeps the counting below linear for repeated subsets.
    first: dict[tuple[str, ...], str] = {}
    for name in sorted(rows):
        if rows[name]:
            parent[name] = first.setdefault(rows[name], name)
    holders: dict[str, list[str]] = defaultdict(list)
    repeated = _repeated(list(first))
    for name in sorted(first.values()):
        if repeated.isdisjoint(map(hash, rows[name])):
            continue
        common: Counter[str] = Counter()
        for row in rows[name]:
            if hash(row) in repeated:
                common.update(holders[row])
                holders[row].append(name)
        for other, count in common.items():
            if count >= max(1.0, SHARE * min(len(rows[name]), len(rows[other]))):
                a, b = sorted((root(name), root(other)))
                parent[b] = a
    return {name: root(name) for name in sketches}


def _repeated(sketches: Sequence[Sequence[str]]) -> set[int]:
    """Python's hashes of the rows that more than one sketch holds, and perhaps of a few others with the same hash.

    Most rows stand in one dataset only. To remember their holders would take 200 bytes for each of them.
    """
    hashed = np.fromiter(map(hash, chain.from_iterable(sketches)), dtype=np.int64)
    hashed.sort()
    return set(hashed[1:][hashed[1:] == hashed[:-1]].tolist())
