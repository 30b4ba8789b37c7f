"""Each figure against scikit-learn and scipy, and what is not defined."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from predictor.metrics import ratings

PAIRS = st.lists(st.tuples(*(st.integers(0, 20).map(lambda n: n / 4),) * 2), min_size=3, max_size=40)
EDGES = (1.0, 2.5, 4.0)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_each_figure_is_that_of_the_libraries(pairs: list[tuple[float, float]]):
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    assert ratings.mae(a, b) == pytest.approx(sk.mean_absolute_error(a, b))
    assert ratings.rmse(a, b) == pytest.approx(sk.root_mean_squared_error(a, b))
    labels = [np.digitize(side, EDGES) for side in (a, b)]
    assert ratings.binned_accuracy(a, b, EDGES) == pytest.approx(sk.accuracy_score(*labels))
    assert (ratings.confusion(a, b, EDGES) == sk.confusion_matrix(*labels, labels=range(4))).all()
    shares = np.bincount(labels[1], minlength=4) / len(b)
    assert ratings.entropy(b, EDGES) == pytest.approx(scipy.stats.entropy(shares, base=4), abs=1e-12)
    if np.ptp(a) and np.ptp(b):
        assert ratings.pearson(a, b) == pytest.approx(scipy.stats.pearsonr(a, b).statistic)
        assert ratings.spearman(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic)
    else:
        assert math.isnan(ratings.pearson(a, b))
        assert math.isnan(ratings.spearman(a, b))


def test_correlations_of_columns_are_those_of_numpy_and_of_the_rows_that_a_pair_shares():
    columns = np.random.default_rng(0).normal(size=(30, 3))
    assert np.allclose(ratings.correlations(columns), np.corrcoef(columns.T))
    columns[:10, 0] = math.nan
    assert ratings.correlations(columns)[0, 1] == pytest.approx(np.corrcoef(columns[10:, :2].T)[0, 1])


def test_one_value_for_all_has_no_correlation_and_is_called_collapsed():
    rng = np.random.default_rng(1)
    people, one_value = rng.normal(size=(20, 2)), np.full((20, 2), 3.0)
    given_r, said_r = ratings.correlations(people), ratings.correlations(one_value)
    assert np.isnan(said_r).all()
    assert math.isnan(ratings.consistency(given_r, said_r))
    assert ratings.consistency(given_r, given_r) == 1.0
    assert ratings.consistency(np.eye(2), np.ones((2, 2))) == 0.5
    assert ratings.commonest_share([3.0] * 9 + [4.0]) == 0.9
    assert ratings.commonest_share(one_value[:, 0]) == 1.0
    assert ratings.entropy(one_value[:, 0], EDGES) == 0.0


def test_nothing_gives_no_number_and_unequal_rows_are_refused():
    for figure in (ratings.mae, ratings.rmse, ratings.pearson, ratings.spearman):
        assert math.isnan(figure([], []))
    assert math.isnan(ratings.binned_accuracy([], [], EDGES))
    assert math.isnan(ratings.entropy([], EDGES))
    assert math.isnan(ratings.commonest_share([]))
    with pytest.raises(ValueError, match="the same length"):
        ratings.mae([1.0], [1.0, 2.0])


def test_the_error_of_a_correlation_is_about_that_of_samples():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(400):
        x = rng.normal(size=50)
        found.append(ratings.pearson(x, x + rng.normal(size=50)))
    assert ratings.pearson_se(float(np.mean(found)), 50) == pytest.approx(np.std(found), rel=0.15)
    assert math.isnan(ratings.pearson_se(0.5, 2))
