"""The law finds what made the scores, its interval holds what it should, and the curve says which share does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.curriculum.curve import curve_of, metrics_of, point
from predictor.curriculum.law import fit_law
from predictor.curriculum.ratios import shares_of
from predictor.curriculum.verdict import verdict
from predictor.errors import ConfigError, DataError, TableError
from predictor.schema.targets import Target
from predictor.trial.config import finetune_config

SHARE = Target("exact_match", "", low=0.0, high=1.0)
LOSS = Target("nll", "", "nats", low=0.0, higher_is_better=False)
OPEN = Target("gain", "", "points")


def test_the_law_is_found_with_its_limit_from_four_sizes_and_towards_the_best_from_two():
    rows = np.array([50, 100, 200, 400, 800])
    free = fit_law(rows, 0.8 - 2.0 * rows**-0.6, [0.002] * 5, SHARE)
    assert (free.limit, free.exponent) == (pytest.approx(0.8, abs=0.02), pytest.approx(0.6, abs=0.1))
    two = fit_law(rows[:2], 1.0 - 2.0 * rows[:2] ** -0.4, [0.01] * 2, SHARE)
    assert (two.limit, two.scale, two.exponent) == (1.0, pytest.approx(2.0), pytest.approx(0.4))
    falling = fit_law(rows[:3], 3.0 * rows[:3] ** -0.3, [0.01] * 3, LOSS)
    assert falling.at(800) == pytest.approx(3.0 * 800**-0.3, rel=0.01)
    flat = fit_law(rows, [0.5, 0.52, 0.48, 0.51, 0.49], [0.02] * 5, SHARE)
    assert flat.at(1600) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("target", "sizes"), [(SHARE, 1), (OPEN, 3)])
def test_too_few_sizes_have_no_law(target: Target, sizes: int):
    with pytest.raises(TableError, match=f"no law can be fitted to {sizes} sizes"):
        fit_law([10 * n for n in range(1, sizes + 1)], [0.1] * sizes, [0.1] * sizes, target)


def test_the_interval_holds_nine_tenths_of_what_comes():
    rng = np.random.default_rng(0)
    rows, truth = np.array([40, 80, 160]), lambda n: 1.0 - 3.0 * n**-0.4
    hits = 0
    for _ in range(20):
        law = fit_law(rows, rng.normal(truth(rows), 0.02), [0.02] * 3, SHARE)
        low, high = law.interval(320)
        hits += low <= rng.normal(truth(320), 0.02) <= high
    assert 15 <= hits <= 20


def points(target_rows=(25, 50, 75, 100), noise=0.01):
    return [
        point(n / 100, n, [1 - 2 * n**-0.5 - noise, 1 - 2 * n**-0.5 + noise], [0.02] * 2, [3.6 * n] * 2)
        for n in target_rows
    ]


def test_the_curve_says_what_does_what_more_brings_and_whether_the_smaller_foretold_the_largest():
    curve = curve_of(list(reversed(points())), SHARE)
    assert [p.rows for p in curve.points] == [25, 50, 75, 100]
    assert curve.points[0].error == pytest.approx(math.sqrt(0.02**2 + 0.01**2))
    assert curve.enough.ratio == 1.0  # 75 rows are 0.031 below, more than one error of 0.022
    assert curve.holds
    said, low, high = curve.double
    assert low < said < high
    assert said == pytest.approx(1 - 2 * 200**-0.5, abs=0.03)
    # 1000 rows take an hour.
    assert curve.hour == pytest.approx(100 * (2 * 100**-0.5 - 2 * 1100**-0.5), rel=0.35)
    first, second, gain = curve.steps()[0]
    assert gain == pytest.approx(100 * (second.score - first.score) / (25 * 3.6 / 3600))
    assert metrics_of(curve)["law_holds"] == 1.0
    assert "enough: 100%" in "\n".join(curve.lines())
    assert curve.to_json()["law"]["sizes"] == 4


def test_a_flat_curve_needs_its_smallest_share_and_one_point_more_has_no_law():
    flat = curve_of([point(r, int(100 * r), [0.5], [0.05], [10.0]) for r in (0.5, 1.0)], SHARE)
    assert flat.enough.ratio == 0.5
    assert flat.foretold is None
    assert flat.holds is None
    assert flat.law is not None
    bare = curve_of([point(r, int(100 * r), [0.5], [math.nan], [10.0]) for r in (0.5, 1.0)], OPEN)
    assert bare.law is None
    assert bare.lines()[-1] == "no law: too few sizes"


def test_an_order_pays_only_beyond_what_seeds_do():
    base = {1: 0.50, 2: 0.52, 3: 0.51}
    assert verdict({s: v + 0.1 for s, v in base.items()}, base).words == "the order paid by more than seeds"
    assert verdict({s: v - 0.1 for s, v in base.items()}, base).words == "the order cost more than seeds"
    assert verdict({s: v - 0.1 for s, v in base.items()}, base, -1.0).words == "the order paid by more than seeds"
    unsure = verdict({1: 0.6, 2: 0.4, 3: 0.55}, base)
    assert unsure.words == "the order made no difference beyond seeds"
    assert unsure.low < 0 < unsure.high
    assert "one seed" in verdict({1: 0.6}, base).words
    assert "no control" in verdict({1: 0.6}, {}).words


@pytest.mark.parametrize(
    ("ratios", "seeds", "error", "message"),
    [
        ("0,1", "1", ConfigError, "the ratio '0' is out of range"),
        ("0.5,1.2", "1", ConfigError, "the ratio '1.2' is out of range"),
        ("1", "1", ConfigError, "make no curve"),
        ("0.5,0.5,1", "1", ConfigError, "make no curve"),
        ("half,1", "1", ConfigError, "the ratio 'half' is out of range"),
        ("0.5,1", "one", ConfigError, "seeds=one are none"),
        ("0.5,1", "", ConfigError, "seeds= are none"),
        ("0.001,1", "1", DataError, "the ratio 0.001 of 64 rows is no row"),
    ],
)
def test_shares_that_are_none_are_refused(ratios: str, seeds: str, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        shares_of(ratios, seeds, finetune_config(dataset="lab:size:dial=64:seed=1"))


def test_shares_of_one_seed_are_nested():
    from predictor.data import load
    from predictor.trial.sources import dataset_source

    found = shares_of("0.25,0.5,1", "1,2", finetune_config(dataset="lab:size:dial=64:seed=1"))
    assert [(s.rows, s.seed) for s in found] == [(16, 1), (16, 2), (32, 1), (32, 2), (64, 1), (64, 2)]
    rows = [{e.id for e in load(dataset_source(s.config.data.dataset)).examples} for s in found]
    assert rows[0] < rows[2] < rows[4]
    assert rows[0] != rows[1]
    assert found[-1].config.data.dataset == "lab:size:dial=64:seed=1"
