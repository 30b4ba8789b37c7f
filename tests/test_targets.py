"""What a target says of itself, and how one is found by the key of its metric."""

from __future__ import annotations

import json
import math

import pytest

import predictor.tasks  # noqa: F401 - declares the targets
from predictor.catalog import Catalog
from predictor.errors import ConfigError
from predictor.schema import targets as module
from predictor.schema.targets import TARGETS, Target, declare, described, target_of

LOSS = Target("nll", "how surprised it is", "nats", low=0.0, higher_is_better=False, error="bootstrap")


def test_it_survives_json() -> None:
    for target in (LOSS, TARGETS.get("exact_match"), described("x")):
        assert Target.from_json(json.loads(json.dumps(target.to_json()))) == target


@pytest.mark.parametrize(
    ("unit", "point", "points"),
    [
        ("fraction", 0.01, "points"),
        ("points", 1.0, "points"),
        ("nats per token", 1.0, "nats per token"),
        ("ratio", 1.0, "units"),
        ("", 1.0, "units"),
    ],
)
def test_a_point_is_a_hundredth_of_a_fraction_and_one_of_anything_else(unit: str, point: float, points: str) -> None:
    target = described("x", unit)
    assert (target.point, target.points) == (point, points)


def test_values_read_as_points_or_with_significant_digits() -> None:
    assert TARGETS.get("exact_match").text(0.1234) == "12.34"
    assert described("bleu", "points").text(12.345, 1) == "12.3"
    assert LOSS.text(0.012345) == "0.0123"
    assert LOSS.text(0.012345, 1) == "0.012"


def test_better_follows_the_direction() -> None:
    assert TARGETS.get("f1").better(0.5, 0.4)
    assert LOSS.better(0.4, 0.5)
    assert not LOSS.better(0.5, 0.5)
    assert (TARGETS.get("f1").sign, LOSS.sign) == (1.0, -1.0)


@pytest.mark.parametrize(
    ("low", "high", "text", "outside"),
    [
        (0.0, 1.0, "in [0, 1]", 1.1),
        (0.0, None, "at least 0", -0.1),
        (None, 3.0, "at most 3", 4.0),
        (None, None, "any number", None),
    ],
)
def test_bounds(low: float | None, high: float | None, text: str, outside: float | None) -> None:
    target = Target("x", "", "nats", low, high)
    assert target.range == text
    assert target.inside(0.5)
    assert target.inside(math.nan)
    assert outside is None or not target.inside(outside)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"low": 1.0, "high": 0.0}, "low 1.0 is not below high 0.0"),
        ({"error": "guess"}, "unknown error rule 'guess'"),
        ({"error": "bernoulli", "low": 0.0}, "only a share in"),
    ],
)
def test_a_target_that_makes_no_sense(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Target("x", "", **values)


def test_two_tasks_may_share_a_target_but_not_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TARGETS", Catalog("target"))
    declare((LOSS,))
    declare((LOSS,))
    with pytest.raises(ValueError, match="'nll' is declared twice"):
        declare((Target("new", ""), Target("nll", "", "nats")))
    assert module.TARGETS.names() == ["nll"]
    for name in ("n", "f1_se"):
        with pytest.raises(ValueError, match="name of a number of questions"):
            declare((Target(name, ""),))


def test_a_target_is_found_by_its_metric() -> None:
    assert target_of("score/f1").name == "f1"
    assert target_of("score/f1").key == "score/f1"
    assert target_of("score/f1", unit="fraction", direction="higher").name == "f1"


def test_an_unknown_target_is_suggested_or_described() -> None:
    with pytest.raises(ConfigError, match="no task declares the target 'score/exact_mach'") as caught:
        target_of("score/exact_mach")
    assert "did you mean 'score/exact_match'?" in str(caught.value)
    assert "-P unit=" in str(caught.value)
    loss = target_of("score/loss", unit="nats", direction="lower")
    assert (loss.unit, loss.sign, loss.low, loss.high, loss.error) == ("nats", -1.0, None, None, "given")
    share = target_of("score/share", unit="fraction")
    assert (share.low, share.high, share.sign) == (0.0, 1.0, 1.0)


def test_without_the_tasks_it_says_what_to_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TARGETS", Catalog("target"))
    with pytest.raises(ConfigError, match="no task declares") as caught:
        target_of("score/exact_match")
    assert "import predictor.tasks" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "said", "message"),
    [
        ("train/loss", {}, "target 'train/loss' cannot be predicted from runs"),
        ("score/f1", {"unit": "points"}, "unit=points contradicts the task that declares score/f1"),
        ("score/f1", {"direction": "lower"}, "direction=lower contradicts the task"),
        ("score/x", {"unit": "nats", "direction": "down"}, "direction='down' is unknown"),
    ],
)
def test_what_cannot_be_a_target(key: str, said: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        target_of(key, **said)
