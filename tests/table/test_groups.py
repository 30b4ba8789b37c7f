from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest

from benchmarks.synthetic_runs import row_hash
from predictor.errors import TableError
from predictor.table import dataset_groups


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
