"""What the probe says of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence

from predictor.errors import ConfigError
from predictor.probe import lookup
from predictor.probe.feature import FEATURES, HEADLINE
from predictor.schema import keys
from predictor.table import Table


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


def anchor_of(table: Table) -> int | None:
    """Position of the target's own score after the first steps, which a predictor leans on; None without one."""
    early = [feature.name for _, feature in FEATURES if feature.baseline == "early_score_only"]
    columns = [keys.PROBE + name.replace(HEADLINE, table.target.name) for name in early]
    return next((table.schema.names.index(column) for column in columns if column in table.schema.names), None)
