"""Differences of two models on the same rows: what chance makes of nothing, and what it does not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.evaluation.paired import paired, paired_resampled, sign_test, significant_among
from predictor.evaluation.pareto import front


def test_equal_models_differ_in_nothing():
    rows = np.random.default_rng(0).integers(0, 2, 50).astype(float)
    found = paired(rows, rows)
    assert (found.gain, found.low, found.high, found.se) == (0.0, 0.0, 0.0, 0.0)
    assert (found.p, found.won, found.lost, found.significant) == (1.0, 0, 0, False)


def test_a_hundred_pairs_of_equal_skill_are_called_different_in_five_at_most():
    called = {"right or wrong": 0, "numbers": 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        hard = rng.random(100)
        right = [(rng.random(100) > hard).astype(float) for _ in range(2)]
        called["right or wrong"] += paired(*right, seed=seed).significant
        numbers = [hard + 0.3 * rng.normal(size=100) for _ in range(2)]
        called["numbers"] += paired(*numbers, seed=seed).significant
    assert max(called.values()) <= 5, called


def test_mcnemar_is_the_exact_binomial_of_the_rows_that_differ():
    base = [1.0] * 10 + [0.0] * 10 + [1.0] * 30
    tuned = [1.0] * 8 + [0.0] * 2 + [1.0] * 10 + [1.0] * 30
    found = paired(base, tuned)
    assert (found.won, found.lost, found.n) == (10, 2, 50)
    # 2 · Σ_{k≤2} C(12, k) / 2¹²
    assert found.p == pytest.approx(2 * (1 + 12 + 66) / 2**12) == found.p_rows
    assert found.gain == pytest.approx(0.16)
    assert found.low < 0.16 < found.high
    assert found.significant


def test_a_score_of_which_less_is_better_gains_by_falling():
    found = paired([2.0, 3.0, 4.0] * 10, [1.0, 2.0, 3.5] * 10, sign=-1.0)
    assert found.gain == pytest.approx(2.5 / 3)
    assert (found.won, found.lost) == (30, 0)
    assert found.significant


def test_texts_are_weighed_by_their_bytes():
    bits, sizes = np.array([10.0, 40.0]), np.array([10.0, 20.0])
    found = paired(-bits, -2 * bits, weights=sizes, value=np.exp2)
    assert found.base == pytest.approx(2 ** -(50 / 30))
    assert found.tuned == pytest.approx(2 ** -(100 / 30))


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    held = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        base, difference = rng.normal(size=80), 0.2 + 0.5 * rng.normal(size=80)
        found = paired(base, base + difference, seed=seed)
        held += found.low <= 0.2 <= found.high
    assert 0.88 <= held / 80 <= 1.0


def test_what_is_no_mean_of_its_rows_is_resampled_as_a_whole():
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=120), rng.normal(size=120)
    y = x + 0.1 * rng.normal(size=120)

    def correlation(of: np.ndarray):
        return lambda sample: float(np.corrcoef(x[sample], of[sample])[0, 1])

    found = paired_resampled(correlation(noise), correlation(y), 120)
    assert found.gain > 0.8
    assert found.significant
    same = paired_resampled(correlation(y), correlation(y), 120)
    assert (same.gain, same.p, same.significant) == (0.0, 1.0, False)


def test_nothing_to_compare_is_an_error():
    with pytest.raises(ValueError, match="0 and 0 rows"):
        paired([], [])


def test_of_several_differences_chance_calls_any_no_more_often():
    assert significant_among([0.01, 0.04, 0.03]) == [True, False, False]
    assert significant_among([0.01, 0.02, 0.03]) == [True, True, True]
    assert significant_among([]) == []
    assert sign_test(0, 0) == 1.0


def test_the_front_holds_those_that_none_beats_in_both():
    assert front([3.0, 2.0, 1.0, 3.0], [2.0, 1.0, 2.0, 3.0]) == [True, True, False, False]
    assert front([1.0, math.nan], [1.0, 0.0]) == [True, False]
