from __future__ import annotations

import warnings

import numpy as np
import pytest

from predictor.meta.interval import calibrate, coverage
from predictor.meta.scores import cost_saved, regret, scores, spearman
from predictor.meta.splits import group_folds, random_folds, tuning_folds


def test_scores_of_known_predictions() -> None:
    y = np.array([0.1, 0.2, 0.3, 0.4])
    found = scores(y, y + np.array([0.02, -0.02, 0.04, 0.0]), np.full(4, 0.25), point=0.01)
    assert found["rmse"] == pytest.approx(np.sqrt(0.0024 / 4))
    assert found["mae"] == pytest.approx(0.02)
    assert found["r2"] == pytest.approx(1 - 0.0024 / 0.05)
    assert found["spearman"] == pytest.approx(spearman(y, y + np.array([0.02, -0.02, 0.04, 0.0])))
    assert found["within_3_points"] == 0.75


def test_rank_correlation_with_ties_agrees_with_scipy() -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 40).astype(float), rng.integers(0, 5, 40).astype(float)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(spearman(a, np.ones(40)))
        assert np.isnan(spearman(a[:1], b[:1]))


def test_regret_is_counted_within_each_task() -> None:
    y = np.array([0.9, 0.5, 0.4, 0.1, 0.3, 0.2])
    tasks = np.array(["a", "a", "a", "a", "b", "b"])
    predicted = np.array([0.1, 0.2, 0.9, 0.8, 0.9, 0.1])
    found = regret(y, predicted, tasks)
    assert found["regret_top1"] == pytest.approx(((0.9 - 0.4) + 0.0) / 2)
    assert found["regret_top3"] == pytest.approx(((0.9 - 0.5) + 0.0) / 2)


def test_cost_saved_counts_the_price_until_the_best_is_trained() -> None:
    y = np.array([0.9, 0.5, 0.1, 0.2])
    tasks = np.array(["a"] * 4)
    price = np.array([1.0, 2.0, 3.0, 4.0])
    assert cost_saved(y, np.array([4.0, 3.0, 2.0, 1.0]), tasks, price) == pytest.approx(0.9)
    assert cost_saved(y, np.array([3.0, 4.0, 2.0, 1.0]), tasks, price) == pytest.approx(0.7)
    assert cost_saved(y, np.array([1.0, 2.0, 3.0, 4.0]), tasks, price) == 0.0
    assert cost_saved(y, y, tasks, np.full(4, np.nan)) == pytest.approx(0.75)


def test_where_lower_is_better_the_choice_and_its_price_are_turned_round() -> None:
    rng = np.random.default_rng(3)
    y, predicted, price = rng.normal(size=20), rng.normal(size=20), rng.uniform(1.0, 2.0, 20)
    tasks = np.array(["a", "b"] * 10)
    assert regret(-y, -predicted, tasks, sign=-1.0) == regret(y, predicted, tasks)
    assert cost_saved(-y, -predicted, tasks, price, sign=-1.0) == cost_saved(y, predicted, tasks, price)
    assert regret(np.array([3.0, 1.0]), np.array([1.0, 2.0]), np.array(["a", "a"]), sign=-1.0)["regret_top1"] == 2.0


def test_group_folds_never_split_a_group_and_test_every_row_once() -> None:
    groups = np.array([f"g{i % 7}" for i in range(40)])
    for folds in (3, 7, 50):
        cut = group_folds(groups, folds, seed=1)
        assert len(cut) == min(folds, 7)
        assert sorted(np.concatenate([test for _, test in cut])) == list(range(40))
        for train, test in cut:
            assert not set(groups[train]) & set(groups[test])
            assert len(train) + len(test) == 40


def test_random_folds_are_the_parts_of_one_permutation_in_order() -> None:
    for n, folds, seed in ((11, 5, 0), (216, 5, 1), (4, 9, 2)):
        order = np.random.default_rng(seed).permutation(n)
        for (teach, test), part in zip(random_folds(n, folds, seed), np.array_split(order, min(n, folds)), strict=True):
            assert test.tolist() == sorted(part)
            assert teach.tolist() == sorted(set(range(n)) - set(part.tolist()))


def test_random_folds_test_every_row_once() -> None:
    cut = random_folds(11, 5, seed=0)
    assert sorted(np.concatenate([test for _, test in cut])) == list(range(11))
    assert len(tuning_folds(np.array(["a"] * 6 + ["b"] * 6), 4, seed=0)) == 4


def test_the_half_width_is_the_conformal_quantile_of_groups() -> None:
    errors = np.arange(1.0, 21.0)
    interval = calibrate(errors, np.arange(20).astype(str), level=0.9)
    # 20 groups of one row: the ceil(0.9 · 21) = 19th smallest error.
    assert interval.half_width == 19.0
    assert interval.guaranteed
    few = calibrate(errors[:5], np.arange(5).astype(str), level=0.9)
    assert few.half_width == 5.0
    assert not few.guaranteed


def test_a_large_group_weighs_as_much_as_a_small_one() -> None:
    errors = np.concatenate([np.full(1000, 0.1), np.linspace(1.0, 2.0, 19)])
    groups = np.array(["big"] * 1000 + [f"g{i}" for i in range(19)])
    assert calibrate(errors, groups).half_width > 1.8


def test_coverage_on_new_groups_is_what_was_promised() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 5)
    errors = rng.normal(size=200)[groups] + 0.3 * rng.normal(size=1000)
    assert coverage(errors, groups).mean() == pytest.approx(0.9, abs=0.03)


def test_coverage_is_that_of_intervals_calibrated_without_the_group() -> None:
    rng = np.random.default_rng(2)
    for groups in (rng.integers(0, 5, 60), rng.integers(0, 30, 200)):
        errors = rng.normal(size=len(groups))
        found = coverage(errors, groups)
        for label in np.unique(groups):
            mine = groups == label
            half = calibrate(errors[~mine], groups[~mine]).half_width
            np.testing.assert_array_equal(found[mine], np.abs(errors[mine]) <= half)


def test_the_plain_case_agrees_with_mapie() -> None:
    from mapie.regression import SplitConformalRegressor
    from sklearn.dummy import DummyRegressor

    rng = np.random.default_rng(1)
    y = rng.normal(size=99)
    guess = DummyRegressor(strategy="constant", constant=0.0).fit(np.zeros((1, 1)), [0.0])
    split = SplitConformalRegressor(guess, confidence_level=0.9, prefit=True).conformalize(np.zeros((99, 1)), y)
    _, bounds = split.predict_interval(np.zeros((1, 1)))
    assert calibrate(-y, np.arange(99).astype(str)).half_width == pytest.approx(float(bounds[0, 1, 0]))
