"""The contract of every sampler, and the order that each stands for."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from predictor.errors import ConfigError
from predictor.sweep import SAMPLERS, Plan, Sampler
from predictor.sweep.interest import instructive
from predictor.sweep.samplers import Point, Seen, Setting
from predictor.sweep.space import Choices, Range

LISTS = Plan(("a", "b"), ({"lora_r": Choices((4, 8)), "epochs": Choices((1.0,))},), seeds=(1, 2))
ALTERNATIVES = Plan(("a", "b"), ({"lora_r": Choices((4,))}, {"epochs": Range(1.0, 3.0, log=False, whole=False)}))
RANGES = Plan(("a", "b"), ({"learning_rate": Range(1e-4, 1e-2, log=True, whole=False), "lora_r": Choices((4, 8))},))


def _all(sampler: Sampler) -> list[Point]:
    points = []
    while (point := sampler.ask()) is not None:
        points.append(point)
        sampler.tell(point, 0.5)
    return points


def _setting(plan: Plan, most: int | None = 4) -> Setting:
    return Setting(plan, most, interest=lambda points: [float(point.hp["lora_r"]) for point in points])


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_every_sampler_ends_keeps_the_limit_and_stays_in_the_plan(name: str):
    sampler = SAMPLERS.get(name)(_setting(LISTS, 3))
    points = _all(sampler)
    assert len(points) == 3 == sampler.total
    assert sampler.ask() is None
    assert all(point.dataset in "ab" and point.hp["lora_r"] in (4, 8) for point in points)


@pytest.mark.parametrize("name", SAMPLERS.names())
def test_every_sampler_gives_the_same_points_again(name: str):
    assert _all(SAMPLERS.get(name)(_setting(LISTS))) == _all(SAMPLERS.get(name)(_setting(LISTS)))


def test_grid_has_every_combination_and_shows_every_dataset_first():
    points = _all(SAMPLERS.get("grid")(Setting(LISTS)))
    assert [(point.dataset, point.hp["lora_r"]) for point in points] == [("a", 4), ("b", 4), ("a", 8), ("b", 8)]


def test_random_shuffles_lists_and_draws_from_ranges():
    points = _all(SAMPLERS.get("random")(Setting(LISTS)))
    assert sorted((point.dataset, point.hp["lora_r"]) for point in points) == [("a", 4), ("a", 8), ("b", 4), ("b", 8)]
    drawn = _all(SAMPLERS.get("random")(Setting(RANGES, 400)))
    rates = [float(point.hp["learning_rate"]) for point in drawn]
    assert [point.dataset for point in drawn[:4]] == ["a", "b", "a", "b"]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    assert abs(sum(map(math.log10, rates)) / len(rates) + 3) < 0.1  # even in the logarithm


def test_each_context_meets_the_alternatives_in_turns():
    points = _all(SAMPLERS.get("random")(Setting(ALTERNATIVES, 8)))
    for dataset in ("a", "b"):
        assert [set(point.hp) for point in points if point.dataset == dataset] == [{"lora_r"}, {"epochs"}] * 2


def test_tpe_goes_where_scores_are_high():
    plan = Plan(("a",), ({"learning_rate": Range(1e-5, 1e-1, log=True, whole=False)},))
    sampler = SAMPLERS.get("tpe")(Setting(plan, 40))
    errors = []
    while (point := sampler.ask()) is not None:
        error = abs(math.log10(float(point.hp["learning_rate"])) + 3)
        errors.append(error)
        sampler.tell(point, 1 - error / 4)
    assert sum(errors[-10:]) / 10 < 0.5 * sum(errors[:10]) / 10


def test_tpe_goes_where_scores_are_low_when_lower_is_better():
    plan = Plan(("a",), ({"learning_rate": Range(1e-5, 1e-1, log=True, whole=False)},))
    sampler = SAMPLERS.get("tpe")(Setting(plan, 40, sign=-1.0))
    errors = []
    while (point := sampler.ask()) is not None:
        errors.append(abs(math.log10(float(point.hp["learning_rate"])) + 3))
        sampler.tell(point, errors[-1] / 4)
    assert sum(errors[-10:]) / 10 < 0.5 * sum(errors[:10]) / 10


def test_tpe_learns_from_what_was_seen_before_and_leaves_other_spaces_aside():
    plan = Plan(("a",), ({"learning_rate": Range(1e-5, 1e-1, log=True, whole=False)},))
    rates = [10 ** (-5 + 0.2 * step) for step in range(20)]
    seen = [Seen(Point("a", "lab", {"learning_rate": rate}), 1 - abs(math.log10(rate) + 3)) for rate in rates]
    seen += [
        Seen(Point("other", "lab", {"learning_rate": 1e-3}), 0.9),
        Seen(Point("a", "lab", {"learning_rate": 5.0}), 1),
    ]
    sampler = SAMPLERS.get("tpe")(Setting(plan, 5, seen))
    assert all(abs(math.log10(float(point.hp["learning_rate"])) + 3) < 1 for point in _all(sampler))


def test_the_most_instructive_could_be_best_whichever_way_is_better():
    predicted = pd.DataFrame({"lower": [0.0, 0.4, 0.1], "upper": [0.3, 0.6, 0.9]})
    assert instructive(predicted, 1.0) == pytest.approx([0.0, 0.2, 0.5])
    assert instructive(predicted, -1.0) == pytest.approx([0.3, 0.0, 0.2])


def test_suggest_puts_the_most_interesting_first():
    points = _all(SAMPLERS.get("suggest")(_setting(LISTS)))
    assert [point.hp["lora_r"] for point in points] == [8, 8, 4, 4]


@pytest.mark.parametrize(
    ("name", "setting", "what"),
    [
        ("grid", Setting(RANGES), "the plan gives ranges for learning_rate"),
        ("random", Setting(RANGES), "sampler=random would go on for ever"),
        ("tpe", Setting(LISTS), "sampler=tpe would go on for ever"),
        ("tpe", Setting(Plan(("a",), ({},)), 3), "the plan has no hp to choose from"),
        ("tpe", Setting(ALTERNATIVES, 3), "the plan has alternatives of hp"),
        ("suggest", Setting(LISTS), "sampler=suggest needs a registered predictor"),
    ],
)
def test_what_a_sampler_cannot_do_it_says(name: str, setting: Setting, what: str):
    with pytest.raises(ConfigError, match=what):
        SAMPLERS.get(name)(setting)


def test_an_unknown_sampler_is_named():
    with pytest.raises(ConfigError, match="unknown sampler 'gird'") as caught:
        SAMPLERS.get("gird")
    assert caught.value.fix == "did you mean 'grid'?"
