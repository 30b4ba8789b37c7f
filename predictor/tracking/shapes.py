"""The values of many runs with few distinct sets of keys: what depends on the keys alone is worked out once."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from predictor.schema import HpValue, keys
from predictor.schema.codec import METRIC_FIELDS, decode_hp
from predictor.schema.measured import Doubles, Measured

Picked = tuple[tuple[str, ...], tuple[float, ...]]
"""Keys of metrics that a record holds, sorted, and their values."""


class MetricShapes:
    """From the metrics of a run as they are stored to the fields of its record."""

    def __init__(self) -> None:
        self._picks: dict[tuple[str, ...], tuple[tuple[str, ...], Any]] = {}
        self._fields: dict[tuple[str, ...], list[tuple[str, slice, dict[str, int]]]] = {}

    def pick(self, names: tuple[str, ...], values: tuple[float | None, ...]) -> Picked:
        """The metrics that a record holds; None becomes NaN."""
        found = self._picks.get(names)
        if found is None:
            found = self._picks[names] = _picker(names)
        kept, take = found
        chosen = take(values)
        missing = chosen.count(None)
        if missing:
            filled = list(chosen)
            for _ in range(missing):
                filled[filled.index(None)] = math.nan
            chosen = tuple(filled)
        return kept, chosen

    def fields(self, names: tuple[str, ...], values: Doubles) -> dict[str, Measured]:
        """Field of a record → metrics by name, from sorted keys with their values."""
        plan = self._fields.get(names)
        if plan is None:
            plan = self._fields[names] = _plan(names)
        return {field: Measured(positions, values[part]) for field, part, positions in plan}


class HpShapes:
    """From the params of a run as they are stored to its hyperparameters; few runs have any of their own."""

    def __init__(self) -> None:
        self._texts: dict[tuple[tuple[str, ...], tuple[str, ...]], str] = {}
        self._hp: dict[str, Mapping[str, HpValue]] = {}

    def text(self, names: tuple[str, ...], values: tuple[str, ...]) -> str:
        """The params that are hyperparameters, as JSON."""
        found = self._texts.get((names, values))
        if found is None:
            ours = {name: value for name, value in zip(names, values, strict=True) if name.startswith(keys.HP)}
            found = self._texts[names, values] = json.dumps(ours, sort_keys=True)
        return found

    def hp(self, text: str) -> Mapping[str, HpValue]:
        """Hj from that JSON, one object for all runs that share it."""
        found = self._hp.get(text)
        if found is None:
            found = self._hp[text] = decode_hp(json.loads(text))
        return found


def _picker(names: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    prefixes = tuple(METRIC_FIELDS.values())
    kept = sorted((name, position) for position, name in enumerate(names) if name.startswith(prefixes))
    positions = [position for _, position in kept]
    if len(positions) > 1:
        take: Any = itemgetter(*positions)
    else:  # itemgetter gives no tuple for one position, and takes no fewer

        def take(values: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(values[position] for position in positions)

    return tuple(name for name, _ in kept), take


def _plan(names: tuple[str, ...]) -> list[tuple[str, slice, dict[str, int]]]:
    plan = []
    for field, prefix in METRIC_FIELDS.items():
        inside = [position for position, name in enumerate(names) if name.startswith(prefix)]
        # Sorted keys of one prefix stand together.
        part = slice(inside[0], inside[-1] + 1) if inside else slice(0, 0)
        plan.append((field, part, {name.removeprefix(prefix): i for i, name in enumerate(names[part])}))
    return plan
