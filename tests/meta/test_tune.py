from __future__ import annotations

import numpy as np
import pytest

from predictor.meta.blend import better, blend, group_errors
from predictor.meta.curves import View, checkpoints
from predictor.meta.differences import narrow, strongest, strongest_pairs, widen
from predictor.meta.model import Recipe, fit
from predictor.meta.settings import Settings
from predictor.meta.splits import group_folds
from predictor.meta.tune import Budget, _begin, tune


@pytest.fixture(scope="module")
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_strongest_features_vary_and_follow_the_target(rng: np.random.Generator) -> None:
    y = rng.normal(size=50)
    matrix = np.column_stack([rng.normal(size=50), -y + 0.1 * rng.normal(size=50), np.ones(50), y, np.full(50, np.nan)])
    assert strongest(matrix, y, 2).tolist() == [3, 1]
    assert strongest(matrix, y, 9).tolist() == [3, 1, 0]
    assert strongest(matrix, y, 1, skip=[3]).tolist() == [1]
    assert strongest_pairs(matrix, y, 3).tolist() == [[3, 1], [3, 0], [1, 0]]
    assert strongest_pairs(matrix, y, 0).shape == (0, 2)


def test_a_feature_known_for_few_rows_is_not_strong_by_luck(rng: np.random.Generator) -> None:
    y = rng.normal(size=200)
    rare = np.full(200, np.nan)
    rare[:2] = y[:2]
    assert strongest(np.column_stack([rare, y + rng.normal(size=200)]), y, 1).tolist() == [1]


def test_a_difference_is_read_and_half_of_it_goes_to_each_feature() -> None:
    matrix = np.array([[1.0, 4.0, 2.0], [np.nan, 4.0, 2.0]])
    pairs = np.array([[1, 2], [0, 1]])
    np.testing.assert_array_equal(widen(matrix, pairs)[:, 3:], [[2.0, -3.0], [2.0, np.nan]])
    values = np.array([[1.0, 2.0, 3.0, 10.0, 20.0, 5.0]])
    np.testing.assert_array_equal(narrow(values, pairs), [[11.0, 17.0, 8.0, 5.0]])


def test_differences_find_what_lies_between_two_features(rng: np.random.Generator) -> None:
    level = rng.uniform(0, 10, size=400)
    a, b = level + rng.normal(size=400), level + rng.normal(size=400)
    y = 0.2 * level + np.sign(a - b)
    matrix = np.column_stack([a, b])
    error = {}
    for differences in (0, 2):
        recipe = Recipe((Settings(trend="mean", differences=differences),))
        model = fit(matrix[:300], y[:300], recipe)
        error[differences] = np.std(model.predict(matrix[300:]) - y[300:])
    assert error[2] < 0.8 * error[0]


def test_a_line_through_the_strongest_feature_reads_no_other(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(40, 3))
    y = matrix[:, 1] + 0.1 * rng.normal(size=40)
    model = fit(matrix, y, Recipe((Settings(trend="line", rounds=0),)))
    assert np.flatnonzero(np.abs(model.contributions(matrix)[:, :-1]).sum(axis=0)).tolist() == [1]


def test_a_huge_group_counts_as_one() -> None:
    codes = np.repeat([0, 1, 2], [1000, 10, 10])
    error = np.repeat([3.0, 1.0, 1.0], [1000, 10, 10])
    assert group_errors(error, codes).tolist() == [3.0, 1.0, 1.0]


def test_better_means_by_more_than_a_standard_error_over_groups() -> None:
    error = np.full(10, 2.0)
    assert better(error - 0.1, error)
    assert not better(error - np.r_[1.0, np.full(9, -0.05)], error)
    assert not better(error[:1] - 1.0, error[:1])


def test_the_blend_keeps_the_defaults_until_a_trial_helps_in_most_groups(rng: np.random.Generator) -> None:
    groups, each = 30, 4
    codes = np.repeat(np.arange(groups), each)
    y = rng.normal(size=groups * each)
    default = y + rng.normal(size=len(y))
    lucky = y + 1.01 * (default - y)
    lucky[:each] = y[:each]  # better in a single group
    better = y + 0.2 * rng.normal(size=len(y))
    assert blend(np.array([default, default, lucky]), y, codes, [0, 1], 4) == [0, 0, 1, 1]
    assert blend(np.array([default, default, better]), y, codes, [0, 1], 4) == [0, 1, 2, 2]
    assert blend(np.array([default, better]), y, codes, [0], 1) == [0]


def test_a_curve_predicts_only_rows_that_did_not_teach(rng: np.random.Generator) -> None:
    matrix, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    folds = group_folds(np.repeat(np.arange(12), 5), 4, seed=0)
    steps = checkpoints(20)
    settings = Settings(num_leaves=3, differences=2)
    curve = View(matrix, (0, 1, 2), y, folds, (), 2).curve(settings, steps, 8, seed=0, threads=1)
    assert curve.shape == (len(steps), 60)
    train, test = folds[0]
    other = y.copy()
    other[test] += 100.0
    again = View(matrix, (0, 1, 2), other, folds[:1], (), 2).curve(settings, steps, 8, seed=0, threads=1)
    np.testing.assert_array_equal(again[:8, test], curve[:8, test])
    assert len(train) + len(test) == 60


def test_a_small_budget_still_begins_with_the_defaults(rng: np.random.Generator) -> None:
    matrix = rng.normal(size=(80, 4))
    y = np.sign(matrix[:, 0] * matrix[:, 1]) + 0.3 * rng.normal(size=80)
    groups = np.repeat(np.arange(16), 5)
    budget = Budget(trials=3, inner_trials=1, folds=3, max_rounds=10)
    for trials, kinds in ((1, 1), (3, 2)):
        found = tune(matrix, y, groups, categorical=(), trials=trials, budget=budget, seed=0)
        members = found.recipe.members
        assert members[0].trend == "mean"
        assert len({settings.trend for settings in members}) >= kinds
        assert 2 <= len(members) <= budget.members
        assert all(settings.differences for settings in members)


def test_another_start_than_the_usual_one_only_where_it_is_significantly_better() -> None:
    y, codes = np.zeros(40), np.repeat(np.arange(8), 5)
    usual, second, third, luckier, better = (np.full(40, error) for error in (1.0, 1.1, 1.5, 0.9, 0.5))
    luckier[:15] = 1.6
    luckier[15:] = 0.6
    assert _begin(np.array([usual, second, third]), y, codes) == [0]
    assert _begin(np.array([usual, -second, third, luckier]), y, codes) == [0, 1]
    assert _begin(np.array([usual, usual, third, luckier]), y, codes) == [0, 1], "its gain is no more than luck"
    assert _begin(np.array([usual, second, third, better]), y, codes) == [3]
    assert _begin(np.array([usual, second]), y, codes) == [0, 1]


def test_where_the_score_after_the_first_steps_is_known_tuning_begins_with_its_curve(rng: np.random.Generator) -> None:
    """A score that saturates in it: no line follows, and trees do not reach groups beyond those that they saw."""
    groups = np.repeat(np.arange(20), 6)
    early = np.repeat(np.linspace(0, 1, 20), 6) + 0.02 * rng.normal(size=120)
    matrix = np.column_stack([rng.normal(size=(120, 6)), early])
    y = np.tanh(4 * early) + 0.02 * rng.normal(size=120)
    budget = Budget(trials=7, inner_trials=7, folds=5, max_rounds=40)
    anchored, free = (
        tune(matrix, y, groups, categorical=(), trials=7, budget=budget, seed=0, anchor=anchor) for anchor in (6, None)
    )
    assert {member.trend for member in anchored.recipe.members} <= {"curve", "corrected"}
    assert anchored.recipe.anchor == 6
    assert anchored.rmse < free.rmse
