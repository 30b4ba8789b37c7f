"""A field of a configuration: its type, default, one-line effect with unit, and the rule that its value must keep."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from predictor.catalog import did_you_mean
from predictor.errors import ConfigError


@dataclass(frozen=True)
class Parameter:
    """One field of a configuration as people set it.

    Attributes:
        name: by which `-P`, a file and the configuration know it.
        kind: of its values: bool, int, float or str.
        rule: `help`, and what :func:`param` was told besides.
    """

    name: str
    kind: type
    default: Any
    rule: Mapping[str, Any]

    @property
    def help(self) -> str:
        """What it does, in one line with its unit."""
        return str(self.rule["help"])


def param(default: Any, help: str, **rule: Any) -> Any:
    """A field with its one-line effect (and unit), and the rule that its value must keep.

    Rules: `above` (exclusive), `least` and `most` (inclusive) for numbers; `choices` for text; `entries` for each
    entry of a comma-separated list. `listed=False` leaves a field that few people change out of MLproject; it is given
    as `-P` or in a configuration file all the same.
    """
    return dataclasses.field(default=default, metadata={"help": help, **rule})


@functools.cache
def own_parameters(cls: Any) -> dict[str, Parameter]:
    """The fields of a flat configuration by name: those that it declares itself first, then those that it inherits."""
    own = inspect.get_annotations(cls)
    hints = typing.get_type_hints(cls)
    fields = sorted(dataclasses.fields(cls), key=lambda field: field.name not in own)
    return {f.name: Parameter(f.name, _kind(hints[f.name]), f.default, f.metadata) for f in fields}


def split_list(text: str) -> tuple[str, ...]:
    """The entries of a comma-separated parameter, without blanks."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _kind(hint: Any) -> type:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    return typing.cast(type, hint)


_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_SUCH_AS = {int: ", such as 3", float: ", such as 3 or 3.0e-4"}


def coerce(parameter: Parameter, value: Any, where: str) -> Any:
    """A value of the parameter's type, from a text or from a value of a JSON or YAML file, that keeps its rule.

    A whole number may be written `8.0` (as MLflow writes numbers), a number `3e-4` (which YAML reads as text); a list
    stands for comma-separated text, a mapping for `key=value` separated by commas.

    Args:
        where: the parameter, or the file and entry, for messages.

    Raises:
        ConfigError: another type, or a value that breaks the rule.
    """
    kind = parameter.kind
    converted = _converted(kind, value)
    if converted is None:
        raise ConfigError(
            f"{parameter.name}={value!r} is not {_WORDS[kind]}",
            where=where,
            rule=f"{parameter.name} takes {_WORDS[kind]}{_SUCH_AS.get(kind, '')}",
        )
    check_value(parameter, converted, where)
    return converted


def _converted(kind: type, value: Any) -> Any:
    """The value as `kind`, or None when it is none."""
    if kind is bool:
        if isinstance(value, bool):
            return value
        text = value.lower() if isinstance(value, str) else ""
        return True if text in ("true", "yes", "1", "on") else False if text in ("false", "no", "0", "off") else None
    if kind is str:
        if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
            return ",".join(value)
        if isinstance(value, Mapping) and all(isinstance(entry, str) for pair in value.items() for entry in pair):
            return ",".join(f"{key}={entry}" if entry else str(key) for key, entry in value.items())
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = float(value) if kind is float or not value.strip().lstrip("+-").isdecimal() else int(value)
    if isinstance(value, str) or (kind is int and (not math.isfinite(value) or value != int(value))):
        return None
    return kind(value)


def check_value(parameter: Parameter, value: Any, where: str) -> None:
    """Raise ConfigError when a value of the right type breaks the parameter's rule."""
    rule = parameter.rule
    broken = None
    if isinstance(value, float) and not math.isfinite(value):
        broken = "a finite number"
    elif "above" in rule and not value > rule["above"]:
        broken = f"above {rule['above']:g}"
    elif "least" in rule and not value >= rule["least"]:
        broken = f"at least {rule['least']:g}"
    elif "most" in rule and not value <= rule["most"]:
        broken = f"at most {rule['most']:g}"
    if broken:
        raise ConfigError(
            f"{parameter.name}={value:g} is out of range",
            where=where,
            rule=f"{parameter.name} ({rule['help']}) must be {broken}",
            fix=f"the default is {parameter.default!r}",
        )
    choices = rule.get("choices")
    if choices and value not in choices:
        raise ConfigError(
            f"{parameter.name}='{value}' is unknown",
            where=where,
            rule=f"one of: {', '.join(choices)}",
            fix=did_you_mean(str(value), choices),
        )
    for entry in split_list(value) if "entries" in rule else ():
        if entry not in rule["entries"]:
            raise ConfigError(
                f"{parameter.name} has the unknown entry '{entry}'",
                where=f"{where}={value}",
                rule=f"entries: {', '.join(rule['entries'])}",
                fix=did_you_mean(entry, rule["entries"]),
            )


def known_parameter(name: str, known: Mapping[str, Parameter], what: str, where: str) -> Parameter:
    """The parameter called `name`; raises ConfigError with the nearest known name when there is none.

    Args:
        what: what the parameters are, in the singular (`parameter`, `hyperparameter`).
    """
    if name not in known:
        raise ConfigError(
            f"unknown {what} '{name}'",
            where=where,
            rule=f"{what}s: {', '.join(known)}",
            fix=did_you_mean(str(name), known),
        )
    return known[name]
