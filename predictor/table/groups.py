"""Datasets that share rows are one group: a model tested on one of them has seen the others."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

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

    hashes = {name: frozenset(sketch) for name, sketch in sketches.items()}
    # Datasets with equal sketches join at once, which keeps the counting below linear for repeated subsets.
    first: dict[frozenset[str], str] = {}
    for name in sorted(hashes):
        if hashes[name]:
            same = first.setdefault(hashes[name], name)
            parent[name] = same
    holders: dict[str, list[str]] = defaultdict(list)
    for name in sorted(first.values()):
        common: Counter[str] = Counter()
        for row in hashes[name]:
            common.update(holders[row])
            holders[row].append(name)
        for other, count in common.items():
            if count >= max(1.0, SHARE * min(len(hashes[name]), len(hashes[other]))):
                a, b = sorted((root(name), root(other)))
                parent[b] = a
    return {name: root(name) for name in sketches}
