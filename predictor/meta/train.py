"""Table → predictor: validate, tune, fit, calibrate, explain."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from predictor.config import TIERS
from predictor.errors import TableError
from predictor.meta.bundle import TAUGHT, Bundle
from predictor.meta.domain import learn as learn_domain
from predictor.meta.estimator import Estimator
from predictor.meta.growth import Growth, growth
from predictor.meta.interval import calibrate
from predictor.meta.known import anchor_of
from predictor.meta.model import Recipe
from predictor.meta.price import fit_price
from predictor.meta.steps import Step, by_tier, needs, restrict, steps
from predictor.meta.tune import Budget, Tuned, tune
from predictor.meta.validate import LEVEL, Validation, fit_on, harder, permutation_control, validate
from predictor.table import Table

OnStep = Callable[[str], None]
EXPLAINED_ROWS = 1000
"""Mean SHAP values of thousands of rows are those of a thousand."""
MIN_GROWTH_ROWS = 20
"""A learning curve over fewer rows than this is noise."""


@dataclass(frozen=True)
class Trained:
    """A predictor and everything that is known about it.

    Attributes:
        validations: split → validation, the grouped one first. `headline` is the harder of those that leave out groups
            and families: by it a predictor is judged, tuned and given its intervals.
        permuted_r2: R² of the same procedure on shuffled targets.
        importance: feature → mean absolute SHAP value over the rows (a thousand of many), in the target's unit,
            largest first.
        steps: rough, all features, screened, refined, in the headline's split.
        tiers: the predictors of the cheaper tiers, in the headline's split.
        growth: error against the number of runs; None with too few rows.
    """

    bundle: Bundle
    tuned: Tuned
    validations: Mapping[str, Validation]
    permuted_r2: float
    importance: Mapping[str, float]
    steps: tuple[Step, ...]
    tiers: tuple[Step, ...]
    growth: Growth | None

    @property
    def grouped(self) -> Validation:
        """The headline: the validation that leaves groups out."""
        return self.validations["group"]

    @property
    def headline(self) -> Validation:
        """The validation with the larger error of those whose groups, or families, are new."""
        return harder(self.validations)


def train(
    table: Table,
    *,
    splits: tuple[str, ...] = ("group", "random", "family"),
    trials: int = 0,
    budget: Budget | None = None,
    tiers: Mapping[str, str] | None = None,
    meanings: Mapping[str, str] | None = None,
    seed: int = 0,
    threads: int = 1,
    on_step: OnStep | None = None,
) -> Trained:
    """The predictor of a table's target, with validations whose tuning never saw the rows that they test.

    Args:
        splits: of :data:`predictor.meta.validate.SPLITS`; `group` is always done, `family` where families are known.
        trials: Optuna trials of the final tuning; 0 chooses by the number of rows.
        budget: how much work is done; chosen by the number of rows when None.
        tiers: feature → price tier; a predictor is fitted for each cheaper tier too.
        meanings: feature → its meaning in plain words, for the reasons of a prediction.
        threads: LightGBM's.
    """
    if len(np.unique(table.group.astype(str))) < 2:
        raise TableError(
            "all rows are one group: their datasets share rows",
            where=table.source,
            rule=f"at least two groups of {table.headline_group}",
            fix="add fine-tunes on datasets that share no rows with these",
        )
    say = on_step or (lambda text: None)
    tiers = tiers or {}
    budget = budget or Budget.for_rows(len(table), trials)
    validations: dict[str, Validation] = {}
    possible = [name for name in splits if name != "group" and (name != "family" or table.families is not None)]
    for split in ("group", *possible):
        known = validations.get("group")
        for result in validate(table, split, budget, seed=seed, threads=threads, known=known, on_step=say):
            validations[result.split] = result
    headline = harder(validations)
    say("permuted control")
    permuted = permutation_control(table, budget, seed=seed, threads=threads)
    say("steps and tiers")
    compared = steps(table, headline, tiers, seed, threads)
    cheaper = by_tier(table, headline, tiers, seed, threads)
    say("learning curve")
    curve = growth(table, headline, seed, threads, budget.controls) if len(table) >= MIN_GROWTH_ROWS else None
    tuned = tune(
        table.matrix,
        table.y,
        headline.labels,
        categorical=table.schema.categorical,
        trials=budget.trials,
        budget=budget,
        seed=seed,
        threads=threads,
        anchor=anchor_of(table),
        on_trial=lambda done, of, rmse: say(f"tuning: trial {done} of {of}, RMSE {rmse:.4g}"),
    )
    main = compared[-1].tier or "all"
    estimators = {main: _estimator(table, tuned.recipe, headline, seed, threads)}
    for name, (cheap, _, step) in reversed(cheaper.items()):
        recipe = restrict(tuned.recipe, table.schema.names, cheap.schema.names)
        estimators[name] = _estimator(cheap, recipe, replace(headline, predicted=step.predicted), seed, threads)
    shown = table.matrix[:: max(1, len(table) // EXPLAINED_ROWS)]
    contributions = np.abs(estimators[main].model.contributions(shown)[:, :-1]).mean(axis=0)
    order = np.argsort(-contributions, kind="stable")
    return Trained(
        bundle=Bundle(
            target=table.target,
            estimators=estimators,
            needs={name: needs(table, tiers, name) for name in estimators if name != "all"},
            price=fit_price(table.matrix, table.price, table.schema.categorical),
            meanings={name: text for name, text in (meanings or {}).items() if name in table.schema.names},
            about=_about(table, validations, permuted, tiers),
        ),
        tuned=tuned,
        validations=validations,
        permuted_r2=permuted,
        importance={table.schema.names[j]: float(contributions[j]) for j in order},
        steps=tuple(compared),
        tiers=tuple(step for _, _, step in cheaper.values()),
        growth=curve,
    )


def _estimator(table: Table, recipe: Recipe, validation: Validation, seed: int, threads: int) -> Estimator:
    """Fitted on every row; its interval from predictions of models that did not see the row's group, or family."""
    return Estimator(
        schema=table.schema,
        model=fit_on(table, np.arange(len(table)), recipe, seed, threads),
        interval=calibrate(*validation.errors(table), LEVEL),
        domain=learn_domain(table.matrix, table.group, seed, table.schema.categorical),
        recipe=recipe,
        low=table.target.low,
        high=table.target.high,
    )


def _about(
    table: Table, validations: Mapping[str, Validation], permuted: float, tiers: Mapping[str, str]
) -> dict[str, object]:
    present = {tiers.get(name) for name in table.schema.names}
    return {
        "rows": len(table),
        "judged": int(table.judged.sum()),
        "groups": len(np.unique(table.group.astype(str))),
        "table_digest": table.digest,
        "source": table.source,
        "mean": float(table.y.mean()),
        "permuted_r2": permuted,
        "headline": harder(validations).split,
        "tiers": [tier for tier in TIERS if tier in present],
        TAUGHT: table.taught.to_json(),
        "validation": {name: dict(result.metrics) for name, result in validations.items()},
    }
