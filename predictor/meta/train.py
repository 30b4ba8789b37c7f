"""Table → predictor: tune, validate, fit, calibrate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from predictor.errors import TableError
from predictor.meta.bundle import Bundle
from predictor.meta.domain import learn as learn_domain
from predictor.meta.estimator import Estimator
from predictor.meta.interval import calibrate
from predictor.meta.tune import Budget, Tuned, tune
from predictor.meta.validate import LEVEL, Validation, fit_on, permutation_control, validate
from predictor.table import Table

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A predictor and everything that is known about it.

    Attributes:
        validations: split → validation, the grouped one first.
        permuted_r2: R² of the same procedure on shuffled targets.
        importance: feature → mean absolute SHAP value over the table, in the target's unit, largest first.
    """

    bundle: Bundle
    tuned: Tuned
    validations: Mapping[str, Validation]
    permuted_r2: float
    importance: Mapping[str, float]

    @property
    def grouped(self) -> Validation:
        return self.validations["group"]


def train(
    table: Table,
    *,
    splits: tuple[str, ...] = ("group", "random"),
    trials: int = 0,
    seed: int = 0,
    threads: int = 1,
    on_step: OnStep | None = None,
) -> Trained:
    """The predictor of a table's target, with validations whose tuning never saw the rows that they test.

    Args:
        splits: of :data:`predictor.meta.validate.SPLITS`; `group` is always done, it calibrates the intervals.
        trials: Optuna trials of the final tuning; 0 chooses by the number of rows.
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
    budget = Budget.for_rows(len(table), trials)
    validations: dict[str, Validation] = {}
    for split in ("group", *[name for name in splits if name != "group"]):
        for result in validate(table, split, budget, seed=seed, threads=threads, on_step=say):
            validations[result.split] = result
    say("permuted control")
    permuted = permutation_control(table, budget, seed=seed, threads=threads)
    tuned = tune(
        table.matrix,
        table.y,
        table.group,
        categorical=table.schema.categorical,
        trials=budget.trials,
        budget=budget,
        seed=seed,
        threads=threads,
        on_trial=lambda done, of, rmse: say(f"tuning: trial {done} of {of}, RMSE {rmse:.4g}"),
    )
    model = fit_on(table, np.arange(len(table)), tuned.settings, seed, threads)
    estimator = Estimator(
        schema=table.schema,
        model=model,
        interval=calibrate(validations["group"].predicted - table.y, table.group, LEVEL),
        domain=learn_domain(table.matrix, table.group, seed),
        settings=tuned.settings,
        bounded=table.points == 0.01,
    )
    contributions = np.abs(model.contributions(table.matrix)[:, :-1]).mean(axis=0)
    order = np.argsort(-contributions, kind="stable")
    return Trained(
        bundle=Bundle(table.target, table.points, {"all": estimator}, about=_about(table, validations, permuted)),
        tuned=tuned,
        validations=validations,
        permuted_r2=permuted,
        importance={table.schema.names[j]: float(contributions[j]) for j in order},
    )


def _about(table: Table, validations: Mapping[str, Validation], permuted: float) -> dict[str, object]:
    return {
        "rows": len(table),
        "groups": len(np.unique(table.group.astype(str))),
        "table_digest": table.digest,
        "source": table.source,
        "mean": float(table.y.mean()),
        "permuted_r2": permuted,
        "validation": {name: dict(result.metrics) for name, result in validations.items()},
    }
