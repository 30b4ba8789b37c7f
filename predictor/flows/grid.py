"""A grid of hyperparameters to rank with each candidate."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from predictor.catalog import did_you_mean
from predictor.config import Hyperparameters, check
from predictor.errors import ConfigError


def read_grid(path: str) -> list[dict[str, Any]]:
    """Every combination of the values in a JSON file such as `{"learning_rate": [1e-4, 3e-4], "lora_r": [8, 16]}`.

    Raises:
        ConfigError: no such file, no JSON object of lists, an unknown hyperparameter, or a value out of its range.
    """
    rule = 'a .json file with lists of values, such as {"learning_rate": [1e-4, 3e-4], "lora_r": [8, 16]}'
    try:
        content = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"the grid cannot be read: {error}", where=f"-P grid={path}", rule=rule) from error
    if not isinstance(content, Mapping) or not all(isinstance(values, list) and values for values in content.values()):
        raise ConfigError("the grid is no object of lists", where=f"-P grid={path}", rule=rule)
    types = {field.name: type(field.default) for field in dataclasses.fields(Hyperparameters)}
    for name, values in content.items():
        if name not in types:
            raise ConfigError(
                f"unknown hyperparameter '{name}'",
                where=f"-P grid={path}",
                rule=f"hyperparameters: {', '.join(types)}",
                fix=did_you_mean(name, types),
            )
        for value in values:
            _check(name, value, types[name], path)
    names = list(content)
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*content.values())]


def label(candidate: str, combination: Mapping[str, Any]) -> str:
    """The name of a candidate with its hyperparameters, for the ranking."""
    return " ".join([candidate, *(f"{name}={value}" for name, value in combination.items())])


def _check(name: str, value: Any, kind: type, path: str) -> None:
    fits = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
    if not fits or isinstance(value, bool):
        raise ConfigError(
            f"{name}={value!r} is no {kind.__name__}", where=f"-P grid={path}", rule=f"{name} takes {kind.__name__}"
        )
    check(Hyperparameters(**{name: kind(value)}))
