"""What each step and each tier of features buys: the same folds, more and more of the procedure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from predictor.config import TIERS
from predictor.meta.model import Recipe
from predictor.meta.settings import Settings
from predictor.meta.validate import Validation, measure, out_of_fold
from predictor.probe import FEATURES
from predictor.schema import keys
from predictor.table import Table

DEFAULT = Settings(trend="mean")


@dataclass(frozen=True)
class Step:
    """One line of a comparison in the headline's split.

    Attributes:
        features: how many features it may read (for a screened step: the median over the blocks).
        tier: the dearest tier among them, empty when tiers are unknown.
        predicted: (n,), by models that did not see what is left out with the row.
    """

    name: str
    features: int
    tier: str
    metrics: Mapping[str, float]
    predicted: np.ndarray


def steps(table: Table, headline: Validation, tiers: Mapping[str, str], seed: int, threads: int) -> list[Step]:
    """Rough (Hj and features marked so, LightGBM as it comes), all features, screened features, and refined (tuned).

    Args:
        headline: the validation whose folds, screenings and settings are used, so that nothing here sees a tested row.
        tiers: feature → price tier.
    """
    names = table.schema.names
    marked = {keys.PROBE + name for name, feature in FEATURES if feature.rough}
    first = tuple(j for j, name in enumerate(names) if name.startswith(keys.HP) or name in marked)
    rough, screened = Recipe((replace(DEFAULT, screened=True),), first), replace(DEFAULT, screened=True)
    recipes: dict[str, list[Recipe]] = {}
    if first:
        recipes["rough"] = [rough] * len(headline.tuned)
    recipes["all features"] = [Recipe((DEFAULT,))] * len(headline.tuned)
    recipes["screened"] = [Recipe((screened,), tuned.screening.kept) for tuned in headline.tuned]
    found = []
    for name, each in recipes.items():
        used = [recipe.kept or range(len(names)) for recipe in each]
        predicted, reference = out_of_fold(table, headline.blocks, each, seed, threads)
        metrics = measure(table, predicted, reference, headline.labels)
        dearest = _dearest([names[j] for j in set().union(*used)], tiers)
        found.append(Step(name, int(np.median([len(u) for u in used])), dearest, metrics, predicted))
    last = Step("refined", len(names), _dearest(names, tiers), headline.metrics, headline.predicted)
    return [*found, last]


def by_tier(
    table: Table, headline: Validation, tiers: Mapping[str, str], seed: int, threads: int
) -> dict[str, tuple[Table, list[Recipe], Step]]:
    """For each tier below the dearest one in the table: its table, its recipe for each block, and how well it does.

    The tuned settings of each block are used with only the features of the tier and the cheaper ones.
    """
    present = [tier for tier in TIERS if any(tiers.get(name) == tier for name in table.schema.names)]
    found = {}
    for count in range(1, len(present)):
        allowed = {*present[:count], ""}
        names = [name for name in table.schema.names if tiers.get(name, "") in allowed]
        cheap = table.select(names)
        recipes = [restrict(tuned.recipe, table.schema.names, names) for tuned in headline.tuned]
        predicted, reference = out_of_fold(cheap, headline.blocks, recipes, seed, threads)
        metrics = measure(cheap, predicted, reference, headline.labels)
        found[present[count - 1]] = (
            cheap,
            recipes,
            Step(present[count - 1], len(names), present[count - 1], metrics, predicted),
        )
    return found


def needs(table: Table, tiers: Mapping[str, str], name: str) -> tuple[tuple[str, ...], ...]:
    """For each tier up to the one called `name`, the table's columns of that tier."""
    upto = TIERS[: TIERS.index(name) + 1]
    columns = [tuple(column for column in table.schema.names if tiers.get(column) == tier) for tier in upto]
    return tuple(each for each in columns if each)


def restrict(recipe: Recipe, names: Sequence[str], allowed: Sequence[str]) -> Recipe:
    """A recipe over the columns `names` as one over `allowed`, some of them."""
    position = {name: j for j, name in enumerate(allowed)}
    kept = tuple(position[names[j]] for j in recipe.kept if names[j] in position)
    anchor = None if recipe.anchor is None else position.get(names[recipe.anchor])
    return Recipe(recipe.members, kept or tuple(range(len(allowed))), anchor)


def _dearest(names: Sequence[str], tiers: Mapping[str, str]) -> str:
    used = {tiers.get(name) for name in names}
    return next((tier for tier in reversed(TIERS) if tier in used), "")
