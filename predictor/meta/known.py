"""What the probe says of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.errors import ConfigError
from predictor.probe import lookup
from predictor.schema import keys


def known_features(names: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Price tier, and meaning, of those columns that are features of our probe, by name."""
    tiers, meanings = {}, {}
    for name in names:
        if name.startswith(keys.PROBE):
            try:
                feature = lookup(name)
            except ConfigError:  # a store may hold features of another version of the probe
                continue
            tiers[name], meanings[name] = feature.tier, feature.meaning
    return tiers, meanings
