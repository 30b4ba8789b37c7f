"""The validation split: deterministic, stratified by label, and never a group on both sides."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from predictor.data.example import Example
from predictor.data.fingerprint import conversation_group, text_hash


def group_key(group: str) -> int:
    """A group's name as a number; the names that `passage_group` makes end in one."""
    try:
        return int(group[-10:], 16)
    except ValueError:
        return int(text_hash(group), 16)


class GroupLedger:
    """What a split needs to know of each row, in 12 bytes: the key of its group and its label.

    Rows of one passage have one key, and so have those of one conversation and rows with equal inputs.
    """

    def __init__(self) -> None:
        self.keys = array("Q")
        self.labels = array("L")
        self._label_ids: dict[str, int] = {}

    def add(self, example: Example, row_hash: str) -> int:
        """Count a row in; returns the key of its group."""
        talk = conversation_group(example.messages) if example.messages else ""
        key = group_key(example.group or talk) if example.group or talk else int(row_hash, 16)
        self.keys.append(key)
        self.labels.append(self._label_ids.setdefault(example.label or "", len(self._label_ids)))
        return key

    def __len__(self) -> int:
        return len(self.keys)


def choose_validation(ledger: GroupLedger, fraction: float, seed: int, merged: Mapping[int, int] | None = None) -> Any:
    """Which rows are validation rows: a boolean numpy array in the order of the ledger.

    Whole groups are taken in an order drawn by `seed`, label by label (a group counts under the label of its first
    row), until each label has given `fraction` of its rows, as nearly as whole groups allow. With two groups or more
    and a fraction above 0 at least one group is taken, and at least one is left.

    Args:
        fraction: wanted share of validation rows, in [0, 1).
        merged: group key → key of the group that it is a near-duplicate of.
    """
    import numpy as np

    keys = np.frombuffer(ledger.keys, dtype=np.uint64) if len(ledger) else np.zeros(0, np.uint64)
    if merged:
        keys = np.array([merged.get(int(key), int(key)) for key in keys], dtype=np.uint64)
    labels = np.frombuffer(ledger.labels, dtype=f"u{ledger.labels.itemsize}")
    unique, first, group_of_row, sizes = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    taken = np.zeros(len(unique), dtype=bool)
    if fraction <= 0 or len(unique) < 2:
        return taken[group_of_row]
    order = np.argsort(_mixed(unique, seed), kind="stable")
    strata = labels[first]
    for label in np.unique(strata):
        members = order[strata[order] == label]
        wanted = fraction * sizes[members].sum()
        have = 0
        for member in members.tolist():
            size = int(sizes[member])
            if have + size / 2 <= wanted:
                taken[member] = True
                have += size
    if not taken.any():
        taken[order[np.argmin(sizes[order])]] = True
    if taken.all():
        taken[order[0]] = False
    return taken[group_of_row]


def _mixed(keys: Any, seed: int) -> Any:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) of each key, shifted by the seed."""
    import numpy as np

    with np.errstate(over="ignore"):
        x = keys + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))
