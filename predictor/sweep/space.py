"""The values that a plan lets a hyperparameter take: a list of choices, or a range."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from predictor.config import Parameter, coerce, known_parameter, read_mapping
from predictor.errors import ConfigError
from predictor.schema import HpValue

_RULE = "a list such as [4, 8], or a range such as {low: 1.0e-4, high: 1.0e-2, log: true}"


@dataclass(frozen=True)
class Choices:
    """One of these values."""

    values: tuple[HpValue, ...]

    def draw(self, rng: Random) -> HpValue:
        """Any of the values, each as likely as the others."""
        return rng.choice(self.values)


@dataclass(frozen=True)
class Range:
    """A number between `low` and `high`, both included, drawn evenly or, if `log`, evenly in its logarithm."""

    low: float
    high: float
    log: bool
    whole: bool

    def draw(self, rng: Random) -> HpValue:
        """A number of the range, to three significant digits or whole."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = rng.uniform(low, high)
        value = min(self.high, max(self.low, math.exp(value) if self.log else value))
        # Three significant digits: a value that a person can read and type again.
        return round(value) if self.whole else float(f"{value:.3g}")


Space = Mapping[str, Choices | Range]


def combinations(space: Space) -> Iterator[dict[str, HpValue]]:
    """Every combination of the listed values."""
    lists = [values.values for values in space.values() if isinstance(values, Choices)]
    for values in itertools.product(*lists):
        yield dict(zip(space, values, strict=True))


def read_grid(path: str, known: Mapping[str, Parameter]) -> list[dict[str, HpValue]]:
    """Every combination of the values in a JSON or YAML file such as `{"learning_rate": [1e-4, 3e-4], "lora_r": [8]}`.

    Args:
        known: the hyperparameters by name.

    Raises:
        ConfigError: no such file, no mapping of lists, an unknown hyperparameter, or a value that breaks its rule.
    """
    rule = 'a file with lists of values, such as {"learning_rate": [1e-4, 3e-4], "lora_r": [8, 16]}'
    space = read_space(read_mapping(path, rule, "the grid"), f"-P grid={path}", known)
    for name, values in space.items():
        if isinstance(values, Range):
            raise ConfigError(f"{name} is a range", where=f"-P grid={path}", rule=rule)
    return list(combinations(space))


def read_space(content: Any, where: str, known: Mapping[str, Parameter]) -> Space:
    """The values that hyperparameters may take.

    Args:
        content: a mapping from names of hyperparameters to lists, ranges or single values.
        where: the file and entry, for messages.
        known: the hyperparameters by name.

    Raises:
        ConfigError: an unknown hyperparameter, a value of another type or out of its range, or a bad range.
    """
    if not isinstance(content, Mapping):
        raise ConfigError("hp is no mapping", where=where, rule=f"{{learning_rate: …}} with {_RULE}")
    space: dict[str, Choices | Range] = {}
    for name, given in content.items():
        parameter = known_parameter(str(name), known, "hyperparameter", where)
        here = f"{where}.{name}"
        if isinstance(given, Mapping):
            space[parameter.name] = _range(parameter, given, here)
        else:
            values = given if isinstance(given, list) else [given]
            if not values:
                raise ConfigError(f"{name} has no values", where=here, rule=_RULE)
            space[parameter.name] = Choices(tuple(coerce(parameter, value, here) for value in values))
    return space


def _range(parameter: Parameter, given: Mapping[str, Any], where: str) -> Range:
    unknown = set(given) - {"low", "high", "log"}
    if unknown or not {"low", "high"} <= set(given) or parameter.kind not in (int, float):
        raise ConfigError(f"{parameter.name} has no proper range", where=where, rule=_RULE)
    low, high = (coerce(parameter, given[end], where) for end in ("low", "high"))
    log = given.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"log={log!r} is not true or false", where=where, rule=_RULE)
    if not low < high or (log and low <= 0):
        raise ConfigError(
            f"the range of {parameter.name} is {low} to {high}", where=where, rule="low < high, and low > 0 for log"
        )
    return Range(float(low), float(high), log, parameter.kind is int)
