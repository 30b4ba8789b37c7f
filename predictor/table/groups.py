"""Datasets that share rows are one group: a model tested on one of them has seen the others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from predictor.errors import TableError
from predictor.schema import keys

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SHARE = 0.01
"""Two datasets share rows when they have this part of the smaller one in common, and at least one row."""
CUT = 512
"""A sketch of fewer hashes holds every row of its dataset; of so many or more, every row up to its largest hash."""
_CHANCE = 2.33
"""Standard deviations by which a sample may show less than `SHARE`: 1 % of samples show less than that."""
_DIGITS = 10
"""Hexadecimal digits of a row's hash."""
_SPACE = 16.0**_DIGITS
_BLOCK = 1_000_000
"""Pairs of datasets that are looked at together, about."""


def dataset_groups(sketches: Mapping[str, str], row_hashes: Mapping[str, np.ndarray] | None = None) -> dict[str, str]:
    """Dataset → name of its group, from dataset → hashes of its rows, one after the other (bottom-k sketches do).

    Groups are the connected components of "shares rows", named after their smallest member, so that the result does not
    depend on the order of the datasets. A dataset without a sketch is a group of its own.

    A sketch that is cut says nothing of rows above its largest hash, so two sketches are compared up to the smaller of
    their largest hashes. Below it both datasets are whole, and their rows are a random sample.

    Args:
        sketches: dataset → its sketch.
        row_hashes: sketch → more hashes of the same dataset, (hashes,) integers, for those that were cut.

    Raises:
        TableError: a sketch does not consist of hashes of ten hexadecimal digits.
    """
    names = sorted(sketches)
    # Datasets with equal sketches join at once, which keeps the rest linear for repeated subsets.
    first: dict[str, str] = {}
    for name in names:
        if sketches[name]:
            first.setdefault(sketches[name], name)
    distinct = list(first.values())
    hashes = _hashes({name: sketches[name] for name in distinct}, row_hashes or {})
    joined = dict(zip(distinct, map(distinct.__getitem__, _components(hashes)), strict=True))
    return {name: joined[first[sketches[name]]] if sketches[name] else name for name in names}


def _components(hashes: list[np.ndarray]) -> list[int]:
    """The first member of each dataset's component, from sorted arrays of distinct hashes."""
    # A served predictor imports this room and never groups anything.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(hashes)
    if not n:
        return []
    component = np.arange(n)
    held = _holders(hashes)
    last = np.array([each[-1] if len(each) >= CUT else _SPACE for each in hashes], dtype=float)
    for start, end in _blocks(held @ held.sum(axis=0, dtype=np.int64)):
        common = (held[start:end] @ held.T).tocoo()
        a, b, count = common.row + start, common.col, common.data
        later = a < b
        a, b, count = a[later], b[later], count[later]
        bound = np.minimum(last[a], last[b])
        smaller = np.minimum(_below(hashes, a, bound), _below(hashes, b, bound))
        sharing = count >= np.maximum(1.0, _likely(SHARE * smaller, bound))
        ends = np.concatenate([a[sharing], np.arange(n)]), np.concatenate([b[sharing], component])
        label = connected_components(coo_array((np.ones(len(ends[0])), ends), shape=(n, n)), directed=False)[1]
        component = np.unique(label, return_index=True)[1][label]
    return component.tolist()


def _blocks(pairs: np.ndarray) -> list[tuple[int, int]]:
    """Runs of datasets, from the number of pairs of each, of about `_BLOCK` pairs together."""
    ends = np.unique(np.searchsorted(np.cumsum(pairs) // _BLOCK, np.arange(pairs.sum() // _BLOCK + 1), side="right"))
    return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))


def _likely(mean: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """How many common hashes there are at least where `mean` are expected, in a sample of the rows below `bound`."""
    return mean - _CHANCE * np.sqrt(mean * (1.0 - bound / _SPACE))


def _holders(hashes: list[np.ndarray]) -> csr_array:
    """(datasets, hashes that more than one dataset has) 1 where it has it.

    Most rows stand in one dataset only, and many datasets share none: these hashes are left out.
    """
    from scipy.sparse import csr_array

    each = np.concatenate(hashes)
    ordered = np.sort(each)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    kept = np.isin(each, repeated)
    rows = np.repeat(np.arange(len(hashes)), [len(own) for own in hashes])[kept]
    columns = np.searchsorted(repeated, each[kept])
    return csr_array((np.ones(len(rows), np.int32), (rows, columns)), shape=(len(hashes), len(repeated)))


def _below(hashes: list[np.ndarray], which: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """(pairs,) how many hashes of dataset `which` are at most `bound`."""
    counts = np.empty(len(which))
    order = np.argsort(which, kind="stable")
    members, starts = np.unique(which[order], return_index=True)
    for member, part in zip(members.tolist(), np.split(order, starts)[1:], strict=True):
        counts[part] = np.searchsorted(hashes[member], bound[part], side="right")
    return counts


def _hashes(sketches: Mapping[str, str], more: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The distinct hashes of each sketch, or of what is known beyond it, sorted."""
    try:
        return [np.unique(more[text] if text in more else _numbers(text)) for text in sketches.values()]
    except ValueError:
        raise _not_hashes(sketches) from None


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
