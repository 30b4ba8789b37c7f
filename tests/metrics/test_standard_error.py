from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.metrics.standard_error import bernoulli_se, bootstrap_se, mean_se


def test_a_share_has_the_error_of_its_coin() -> None:
    assert bernoulli_se(0.3, 200) == math.sqrt(0.3 * 0.7 / 200)
    assert bernoulli_se(0.0, 10) == 0.0
    assert math.isnan(bernoulli_se(1.2, 10))


def test_a_mean_has_the_error_of_its_rows() -> None:
    assert mean_se([0.0, 0.5, 1.0]) == pytest.approx(0.5 / math.sqrt(3))
    assert math.isnan(mean_se([1.0]))


def test_the_bootstrap_of_a_mean_is_near_its_formula_and_the_same_every_time() -> None:
    rows = np.random.default_rng(1).normal(size=300)
    found = bootstrap_se(lambda sample: float(rows[sample].mean()), 300)
    assert found == pytest.approx(mean_se(rows.tolist()), rel=0.1)
    assert found == bootstrap_se(lambda sample: float(rows[sample].mean()), 300)


def test_samples_without_a_value_are_left_out_unless_they_are_half_of_all() -> None:
    calls = iter(range(10_000))
    some = bootstrap_se(lambda sample: math.nan if next(calls) % 4 == 0 else float(sample.mean()), 50)
    assert some == pytest.approx(np.arange(50).std() / math.sqrt(50), rel=0.15)
    assert math.isnan(bootstrap_se(lambda sample: math.nan, 50))
    assert math.isnan(bootstrap_se(lambda sample: 0.5, 1))
