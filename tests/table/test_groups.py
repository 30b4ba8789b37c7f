from __future__ import annotations

import itertools

from predictor.table import dataset_groups


def test_sharing_is_transitive_and_groups_do_not_depend_on_order() -> None:
    sketches = {"a": ["1", "2"], "b": ["2", "3"], "c": ["3", "4"], "d": ["9"], "e": [], "f": []}
    expected = {"a": "a", "b": "a", "c": "a", "d": "d", "e": "e", "f": "f"}
    for order in itertools.permutations(sketches):
        assert dataset_groups({name: sketches[name] for name in order}) == expected


def test_less_than_one_percent_of_the_smaller_is_no_sharing() -> None:
    big = [f"x{i}" for i in range(300)]
    two = ["x0", "x1", *[f"y{i}" for i in range(298)]]
    three = ["x0", "x1", "x2", *[f"z{i}" for i in range(297)]]
    assert len(set(dataset_groups({"big": big, "two": two}).values())) == 2
    assert len(set(dataset_groups({"big": big, "three": three}).values())) == 1


def test_one_hash_of_a_small_dataset_is_sharing() -> None:
    assert len(set(dataset_groups({"a": ["1", "2"], "b": ["2", *"xyz"]}).values())) == 1


def test_equal_sketches_are_one_group() -> None:
    assert set(dataset_groups({f"d{i}": ["1", "2"] for i in range(50)}).values()) == {"d0"}
