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


def columns_of_baselines(table: Table) -> dict[str, int]:
    """Baselines that guess from one feature alone, by name, and the position of its column, where the table has it."""
    names = table.schema.names
    columns = {
        feature.baseline: keys.PROBE + feature.name.replace(HEADLINE, table.target.name)
        for _, feature in FEATURES
        if feature.baseline
    }
    return {name: names.index(column) for name, column in columns.items() if column in names}


def anchor_of(table: Table) -> int | None:
    """Position of the target's own score after the first steps, which a predictor leans on; None without one."""
    return columns_of_baselines(table).get("early_score_only")
