"""What the probe says of a table's columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from predictor.errors import ConfigError
from predictor.probe import lookup
from predictor.probe.feature import FEATURES, HEADLINE
from predictor.schema import keys
from predictor.table import Table

_ANCHORS: Final = ("averaged_score_only", "early_score_only")
"""Baselines whose feature a predictor leans on, the best first."""


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
    """Position of the target's own score after the first steps, which a predictor leans on; None without one.

    That of the averaged weights where the table has it, which are nearer to where the fine-tune ends.
    """
    names = {feature.baseline: feature.name for _, feature in FEATURES if feature.baseline in _ANCHORS}
    columns = [keys.PROBE + names[each].replace(HEADLINE, table.target.name) for each in _ANCHORS]
    return next((table.schema.names.index(column) for column in columns if column in table.schema.names), None)
