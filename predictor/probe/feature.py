"""What a feature is: a named number known before the full fine-tune, with its unit, plain meaning and source."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from predictor.catalog import Catalog
from predictor.errors import ConfigError

HEADLINE: Final = "<headline>"
"""Stands in a feature's name for the task's headline score."""

Compute = Callable[[Any], float]


@dataclass(frozen=True)
class Feature:
    """One number of the probe, logged as `probe/<name>`.

    Attributes:
        name: flat snake_case; may end in `<headline>`, which the task's headline score replaces.
        tier: what it costs: `static` (reading the rows), `embed` (a sentence encoder), `forward` (the untouched base
            model), `train` (the first optimizer steps).
        unit: of the value.
        meaning: one line in plain words, readable after "because".
        source: the paper, equation or project from which the definition comes.
        nan: when the value is NaN; empty when it is always finite.
        compute: from what the tier observed to the value; None for a number that the evaluation itself supplies.
        baseline: name of the baseline that guesses from this feature alone; empty for none.
        rough: whether the rough predictor, the first step towards the tuned one, reads it.
        kind: of the rows that have it; empty for all.
    """

    name: str
    tier: str
    unit: str
    meaning: str
    source: str
    nan: str = ""
    compute: Compute | None = None
    baseline: str = ""
    rough: bool = False
    kind: str = ""


FEATURES: Catalog[Feature] = Catalog("probe feature")


def feature(
    *,
    tier: str,
    unit: str,
    meaning: str,
    source: str,
    nan: str = "",
    baseline: str = "",
    rough: bool = False,
    kind: str = "",
) -> Callable[[Compute], Compute]:
    """Register the decorated function as the feature of its name."""

    def register(compute: Compute) -> Compute:
        name = compute.__name__
        FEATURES.add(name, Feature(name, tier, unit, meaning, source, nan, compute, baseline, rough, kind))
        return compute

    return register


def measure(tier: str, observed: Any, kind: str = "") -> dict[str, float]:
    """Every feature of one tier and kind from what that tier observed: finite, or NaN where there is no value."""
    values = {}
    with np.errstate(all="ignore"):  # what is not finite becomes NaN, which the catalog documents
        for name, entry in FEATURES:
            if entry.tier == tier and entry.kind == kind and entry.compute is not None:
                value = float(entry.compute(observed))
                values[name] = value if math.isfinite(value) else math.nan
    return values


def lookup(name: str) -> Feature:
    """The feature logged under `name`, with or without the prefix `probe/`.

    `zero_shot_exact_match` finds `zero_shot_<headline>`.

    Raises:
        ConfigError: no such feature; the nearest known name is suggested.
    """
    name = name.removeprefix("probe/")
    if name in FEATURES:
        return FEATURES.get(name)
    for known, entry in FEATURES:
        stem = known.removesuffix(HEADLINE)
        if stem != known and name.startswith(stem) and len(name) > len(stem):
            return entry
    try:
        return FEATURES.get(name)
    except ConfigError as unknown:
        raise ConfigError(unknown.what, rule="a name in docs/features.md", fix=unknown.fix) from None


def explain(name: str) -> str:
    """What the feature logged under `name` says, in plain words; raises ConfigError for an unknown name."""
    return lookup(name).meaning
