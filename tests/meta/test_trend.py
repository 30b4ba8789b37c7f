from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.synthetic_runs import records
from predictor.meta.known import anchor_of
from predictor.meta.linear import Linear, fit_linear
from predictor.meta.monotone import Monotone, fit_monotone
from predictor.meta.trend import Trend, fit_trend
from predictor.table import build


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_curve_rises_or_falls_as_the_target_does_and_never_turns(rng: np.random.Generator, sign: float) -> None:
    x = rng.uniform(0, 1, size=60)
    y = sign * np.tanh(5 * x) + 0.1 * rng.normal(size=60)
    curve = fit_monotone(x[:, None], y, 0)
    drawn = curve.predict(np.linspace(-1, 2, 200)[:, None])
    assert (sign * np.diff(drawn) >= 0).all()
    assert np.abs(drawn[67:133] - sign * np.tanh(5 * np.linspace(-1, 2, 200)[67:133])).mean() < 0.1
    assert drawn[0] == drawn[66], "it says nothing new where nothing was seen"
    assert drawn[-1] == drawn[134]


def test_a_curve_of_a_feature_that_is_missing_says_the_mean(rng: np.random.Generator) -> None:
    x = rng.uniform(size=(30, 2))
    x[:10, 1] = np.nan
    curve = fit_monotone(x, x[:, 0], 1)
    assert curve.predict(np.array([[0.5, np.nan]]))[0] == curve.mean
    unknown = fit_monotone(np.full((30, 1), np.nan), x[:, 0], 0)
    np.testing.assert_allclose(unknown.predict(np.array([[np.nan], [3.0]])), x[:, 0].mean())


def test_stored_parts_are_the_same_to_the_bit(rng: np.random.Generator) -> None:
    x = rng.uniform(size=(30, 3))
    y = x[:, 0] + x[:, 1] ** 2
    for kind in ("mean", "line", "ridge", "curve", "corrected"):
        trend = fit_trend(kind, x, y, 0.1)
        again = Trend.from_json(json.loads(json.dumps(trend.to_json())))
        np.testing.assert_array_equal(again.predict(x), trend.predict(x))
    curve = fit_monotone(x, y, 1)
    np.testing.assert_array_equal(
        Monotone.from_json(json.loads(json.dumps(curve.to_json()))).predict(x), curve.predict(x)
    )


def test_each_trend_reads_what_it_says(rng: np.random.Generator) -> None:
    x = rng.normal(size=(80, 4))
    y = x[:, 2] ** 3 + 2.0 * x[:, 0]
    read = {}
    for kind in ("mean", "line", "ridge", "curve", "corrected"):
        contributions = fit_trend(kind, x, y, 0.01, anchor=2).contributions(x)
        read[kind] = set(np.flatnonzero(np.abs(contributions[:, :-1]).max(axis=0) > 0))
    everything = set(range(4))
    assert read == {"mean": set(), "line": {2}, "ridge": everything, "curve": {2}, "corrected": everything}
    errors = {kind: np.std(fit_trend(kind, x, y, 0.01, anchor=2).predict(x) - y) for kind in read}
    assert errors["corrected"] < errors["curve"] < errors["line"] < errors["mean"]


def test_without_an_anchor_a_curve_goes_through_the_strongest_feature(rng: np.random.Generator) -> None:
    x = rng.normal(size=(40, 3))
    trend = fit_trend("curve", x, 5.0 * x[:, 1], 0.1)
    assert trend.curve is not None
    assert trend.curve.column == 1
    assert fit_trend("curve", np.ones((40, 1)), x[:, 0], 0.1) == Trend(float(x[:, 0].mean()))


def test_a_feature_that_spans_decades_is_read_as_its_logarithm() -> None:
    x = np.geomspace(1e-4, 1e-1, 40)[:, None]
    y = np.log10(x[:, 0])
    line = fit_linear(x, y, alpha=1e-9)
    np.testing.assert_allclose(line.predict(x), y, atol=1e-3)
    assert line.predict(np.array([[0.0]]))[0] == pytest.approx(line.predict(x[:1])[0]), "at most as low as was seen"
    assert line.logged.tolist() == [True]
    assert fit_linear(x + 1.0, y, alpha=1e-9).logged.tolist() == [False]
    assert fit_linear(x - 1e-4, y, alpha=1e-9).logged.tolist() == [False], "0 has no logarithm"
    again = Linear.from_json(json.loads(json.dumps(line.to_json())))
    np.testing.assert_array_equal(again.predict(x), line.predict(x))


def test_the_anchor_is_the_target_s_own_score_after_the_first_steps() -> None:
    runs = [
        replace(r, probe={**r.probe, "early_exact_match": r.scores["exact_match"] / 2}) for r in records(30, groups=10)
    ]
    table = build(runs)
    anchor = anchor_of(table)
    assert anchor is not None
    assert table.schema.names[anchor] == "probe/early_exact_match"
    assert anchor_of(table.select([name for name in table.schema.names if "early_exact" not in name])) is None
    assert anchor_of(replace(table, target=replace(table.target, name="forgetting"))) is None
