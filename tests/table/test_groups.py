from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np
import pytest

from benchmarks.synthetic_runs import row_hash
from predictor.data.fingerprint import KEPT_ONE_IN, SKETCH_SIZE
from predictor.errors import TableError
from predictor.table import dataset_groups
from predictor.table.groups import CUT


def _sketch(rows: Iterable[str]) -> str:
    return "".join(map(row_hash, rows))


def test_sharing_is_transitive_and_groups_do_not_depend_on_order() -> None:
    rows = {"a": "12", "b": "23", "c": "34", "d": "9", "e": "", "f": ""}
    expected = {"a": "a", "b": "a", "c": "a", "d": "d", "e": "e", "f": "f"}
    for order in itertools.permutations(rows):
        assert dataset_groups({name: _sketch(rows[name]) for name in order}) == expected


def test_less_than_one_percent_of_the_smaller_is_no_sharing() -> None:
    big = _sketch(f"x{i}" for i in range(300))
    two = _sketch(["x0", "x1", *[f"y{i}" for i in range(298)]])
    three = _sketch(["x0", "x1", "x2", *[f"z{i}" for i in range(297)]])
    assert len(set(dataset_groups({"big": big, "two": two}).values())) == 2
    assert len(set(dataset_groups({"big": big, "three": three}).values())) == 1


def test_one_hash_of_a_small_dataset_is_sharing() -> None:
    assert len(set(dataset_groups({"a": _sketch("12"), "b": _sketch("2xyz")}).values())) == 1


def test_hashes_differ_in_every_digit() -> None:
    assert len(set(dataset_groups({"a": "0000000000", "b": "0000000001", "c": "1000000000"}).values())) == 3
    assert len(set(dataset_groups({"a": "ffffffffff", "b": "fffffffffeffffffffff"}).values())) == 1


def test_equal_sketches_are_one_group() -> None:
    assert set(dataset_groups({f"d{i}": _sketch("12") for i in range(50)}).values()) == {"d0"}


@pytest.mark.parametrize("sketch", ["not hex at", "0123456789abc", "01234 6789", "0123456789" * 9 + "012345678\u00e9"])
def test_a_damaged_sketch_is_named(sketch: str) -> None:
    with pytest.raises(TableError, match=r"holds no row hashes[\s\S]*dataset bad, tag predictor.row_sketch") as caught:
        dataset_groups({"good": _sketch("12"), "bad": sketch})
    assert "delete the tag" in str(caught.value)


def _rows(count: int, seed: int) -> np.ndarray:
    """Hashes of so many distinct rows."""
    return np.unique(np.random.default_rng(seed).integers(0, 2**40, count + 1000))[:count]


def _tag(rows: np.ndarray) -> str:
    return "".join(f"{row:010x}" for row in np.sort(rows)[:SKETCH_SIZE])


def _joined(parent: np.ndarray, others: list[np.ndarray], kept: bool) -> float:
    """The share of the datasets that are in the group of the parent; they share no rows with each other."""
    datasets = {"a parent": parent, **{f"other {k}": rows for k, rows in enumerate(others)}}
    more = {_tag(rows): rows[rows < 2**40 // KEPT_ONE_IN] for rows in datasets.values() if len(rows) > 10_000}
    groups = dataset_groups({name: _tag(rows) for name, rows in datasets.items()}, more if kept else None)
    return float(np.mean([groups[name] == "a parent" for name in list(groups)[1:]]))


def _parts(rows: np.ndarray, size: int, most: int = 100) -> list[np.ndarray]:
    """Random parts without a common row."""
    shuffled = np.random.default_rng(1).permutation(rows)
    return [shuffled[start : start + size] for start in range(0, len(rows) - size + 1, size)][:most]


def test_a_sketch_is_cut_where_the_desk_cuts_it() -> None:
    assert CUT == SKETCH_SIZE


@pytest.mark.parametrize("size", [64, 256, 4096])
@pytest.mark.parametrize("parent", [50_000, 500_000])
def test_parts_of_large_datasets_are_found_by_their_row_hashes(parent: int, size: int) -> None:
    rows = _rows(parent, 0)
    assert _joined(rows, _parts(rows, size), kept=True) >= 0.99


def test_sixty_four_shared_rows_of_another_dataset_are_found() -> None:
    rows = _rows(500_000, 0)
    mixed = [np.concatenate([part, _rows(4_032, 10 + k)]) for k, part in enumerate(_parts(rows, 64))]
    assert _joined(rows, mixed, kept=True) >= 0.98


@pytest.mark.parametrize("kept", [True, False])
def test_datasets_without_a_common_row_stay_apart(kept: bool) -> None:
    assert _joined(_rows(50_000, 0), [_rows(4096, seed) for seed in range(2, 12)], kept) == 0.0


def test_cut_sketches_are_compared_only_where_both_are_whole() -> None:
    # The tag of the parent ends at a thousandth of all hashes, below which a part of 4096 rows has about four.
    rows = _rows(500_000, 0)
    assert _joined(rows, _parts(rows, 4096), kept=False) >= 0.95


def test_few_common_rows_of_many_are_no_sharing_in_a_sample_either() -> None:
    rows = _rows(50_000, 0)
    mixed = [np.concatenate([part, _rows(40_000, 10 + k)]) for k, part in enumerate(_parts(rows, 100, most=10))]
    assert _joined(rows, mixed, kept=True) == 0.0


def test_many_datasets_of_one_pool_are_one_group_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, rng = _rows(600, 3), np.random.default_rng(4)
    sketches = {f"d{k:03d}": _tag(rng.choice(pool, 40, replace=False)) for k in range(200)}
    sketches["alone"] = _tag(_rows(40, 5))
    whole = dataset_groups(sketches)
    monkeypatch.setattr("predictor.table.groups._BLOCK", 50)
    assert dataset_groups(sketches) == whole
    assert set(whole.values()) == {"alone", "d000"}


def test_no_dataset_and_no_sketch() -> None:
    assert dataset_groups({}) == {}
    assert dataset_groups({"a": "", "b": ""}) == {"a": "a", "b": "b"}
