"""The values that a plan lets a hyperparameter take: a list of choices, or a range."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from predictor.catalog import did_you_mean
from predictor.config import Hyperparameters, check
from predictor.errors import ConfigError
from predictor.schema import HpValue

_RULE = "a list such as [4, 8], or a range such as {low: 1.0e-4, high: 1.0e-2, log: true}"


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    values: tuple[HpValue, ...]

    def draw(self, rng: Random) -> HpValue:
        return rng.choice(self.values)


@dataclass(frozen=True)
class Range:
    """A number between `low` and `high`, both included, drawn evenly or, if `log`, evenly in its logarithm."""

    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, rng: Random) -> HpValue:
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = rng.uniform(low, high)
        value = min(self.high, max(self.low, math.exp(value) if self.log else value))
        # Three significant digits: a value that a person can read and type again.
        return round(value) if self.whole else float(f"{value:.3g}")


Space = Mapping[str, Choices | Range]


def read_space(content: Any, where: str) -> Space:
    """The space of the plan's entry `hp`.

    Args:
        content: a mapping from names of hyperparameters to lists, ranges or single values.
        where: the plan file, for messages.

    Raises:
        ConfigError: an unknown hyperparameter, a value of another type or out of its range, or a bad range.
    """
    if not isinstance(content, Mapping):
        raise ConfigError("hp is no mapping", where=where, rule=f"hp: {{learning_rate: …}} with {_RULE}")
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Hyperparameters)}
    space: dict[str, Choices | Range] = {}
    for name, given in content.items():
        if name not in kinds:
            raise ConfigError(
                f"unknown hyperparameter '{name}'",
                where=f"{where}, hp",
                rule=f"hyperparameters: {', '.join(kinds)}",
                fix=did_you_mean(str(name), kinds),
            )
        here = f"{where}, hp.{name}"
        if isinstance(given, Mapping):
            space[name] = _range(name, given, kinds[name], here)
        else:
            values = given if isinstance(given, list) else [given]
            if not values:
                raise ConfigError(f"{name} has no values", where=here, rule=_RULE)
            space[name] = Choices(tuple(_value(name, value, kinds[name], here) for value in values))
    return space


def _range(name: str, given: Mapping[str, Any], kind: type, where: str) -> Range:
    unknown = set(given) - {"low", "high", "log"}
    if unknown or not {"low", "high"} <= set(given) or kind not in (int, float):
        raise ConfigError(f"{name} has no proper range", where=where, rule=_RULE)
    low, high = (_value(name, given[end], kind, where) for end in ("low", "high"))
    log = bool(given.get("log", False))
    if not float(low) < float(high) or (log and float(low) <= 0):
        raise ConfigError(
            f"the range of {name} is {low} to {high}", where=where, rule="low < high, and low > 0 for log"
        )
    return Range(float(low), float(high), log, kind is int)


def _value(name: str, value: Any, kind: type, where: str) -> HpValue:
    if kind is float and isinstance(value, str):
        # YAML reads 3e-4 as text: only with a point, as in 3.0e-4, is it a number to it.
        with contextlib.suppress(ValueError):
            value = float(value)
    fits = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name}={value!r} is no {kind.__name__}", where=where, rule=f"{name} takes {kind.__name__}")
    try:
        check(Hyperparameters(**{name: kind(value)}))
    except ConfigError as error:
        raise ConfigError(error.what, where=where, rule=error.rule, fix=error.fix) from None
    return kind(value)  # type: ignore[no-any-return]
