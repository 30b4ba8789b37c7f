"""Sets of near texts: one name for each, whatever the order in which they were found."""

from __future__ import annotations

from random import Random

import pytest

from predictor.data.neardup import Merged, NearIndex


def test_a_set_is_named_by_its_smallest_key() -> None:
    groups = Merged()
    for a, b in ((9, 7), (5, 8), (8, 9)):
        groups.join(a, b)
    assert [groups.find(key) for key in (5, 7, 8, 9)] == [5, 5, 5, 5]
    groups.join(4, 4)
    groups.join(9, 3)
    assert groups.names() == {3: 3, 4: 4, 5: 3, 7: 3, 8: 3, 9: 3}


def test_a_key_that_was_never_joined_is_its_own_and_asking_does_not_add_it() -> None:
    groups = Merged()
    groups.join(2, 1)
    assert groups.find(6) == 6
    assert groups.names() == {1: 1, 2: 1}


@pytest.mark.parametrize("seed", range(20))
def test_names_do_not_depend_on_the_order(seed: int) -> None:
    rng = Random(seed)
    pairs = [(rng.randrange(60), rng.randrange(60)) for _ in range(rng.randrange(50))]
    expected = {key: key for pair in pairs for key in pair}
    for _ in expected:  # the smallest key walks along every pair, at most as far as there are keys
        for a, b in pairs:
            expected[a] = expected[b] = min(expected[a], expected[b])
    for _ in range(3):
        rng.shuffle(pairs)
        groups = Merged()
        for a, b in pairs:
            groups.join(*rng.sample((a, b), 2))
            rng.choice([groups.find, lambda key: None])(rng.randrange(60))
        assert groups.names() == expected


@pytest.mark.parametrize("threshold", [0.01, 0.95, 1.0])
def test_any_threshold_finds_equal_texts(threshold: float):
    index = NearIndex(threshold)
    text, other = "the cat sat on the mat and slept all day", "a storm came over the hills at night"
    index.insert(1, index.sketch(text))
    index.insert(2, index.sketch(other))
    assert index.near(index.sketch(text)) == [1]
