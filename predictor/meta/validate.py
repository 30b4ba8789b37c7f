"""How well the whole procedure, tuning included, predicts rows that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from predictor.errors import ConfigError
from predictor.meta.baselines import baselines
from predictor.meta.interval import coverage
from predictor.meta.model import fit
from predictor.meta.scores import cost_saved, regret, scores
from predictor.meta.settings import Settings
from predictor.meta.splits import Fold, group_folds, random_folds
from predictor.meta.tune import Budget, tune
from predictor.table import Table

SPLITS = ("group", "random", "lolo")
LEVEL = 0.9
OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Block:
    """Folds that share one tuning; `tuning` holds none of the rows that any of its folds tests."""

    tuning: np.ndarray
    folds: tuple[Fold, ...]


@dataclass(frozen=True)
class Validation:
    """Predictions of every row by models that never saw it, nor were tuned on it.

    Attributes:
        split: `group`, `random` or `lolo/<column>`.
        predicted, reference: (n,), of the first repeat; reference is the mean of the rows that taught.
        metrics: the predictor's, averaged over the repeats.
        baselines: name → metrics.
        folds: number of models that were fitted for one repeat.
    """

    split: str
    predicted: np.ndarray
    reference: np.ndarray
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    folds: int

    @property
    def best_baseline(self) -> tuple[str, float]:
        """Name and RMSE of the baseline with the least error."""
        name = min(self.baselines, key=lambda each: self.baselines[each]["rmse"])
        return name, self.baselines[name]["rmse"]


def validate(
    table: Table,
    split: str,
    budget: Budget,
    *,
    seed: int = 0,
    threads: int = 1,
    with_baselines: bool = True,
    on_step: OnStep | None = None,
) -> list[Validation]:
    """The validations of one kind of split; `lolo` gives one for each group column.

    Raises:
        ConfigError: an unknown split.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split '{split}'", where="-P split", rule=f"one of: {', '.join(SPLITS)}")
    columns = list(table.groups) if split == "lolo" else [table.headline_group]
    return [_validate(table, split, name, budget, seed, threads, with_baselines, on_step) for name in columns]


def _validate(
    table: Table,
    split: str,
    column: str,
    budget: Budget,
    seed: int,
    threads: int,
    with_baselines: bool,
    on_step: OnStep | None,
) -> Validation:
    name = f"lolo/{column}" if split == "lolo" else split
    repeats = budget.repeats if split == "random" else 1
    labels = table.groups[column]
    all_metrics, all_baselines, kept = [], [], None
    for repeat in range(repeats):
        blocks = _random_blocks(len(table), seed + repeat) if split == "random" else _group_blocks(labels, budget, seed)
        predicted, reference = np.full(len(table), np.nan), np.full(len(table), np.nan)
        guesses = baselines(table) if with_baselines else {}
        guessed = {guess: np.full(len(table), np.nan) for guess in guesses}
        for number, block in enumerate(blocks, 1):
            if on_step:
                on_step(f"{name}: block {number} of {len(blocks)}" + (f", repeat {repeat + 1}" if repeats > 1 else ""))
            settings = tune_on(table, block.tuning, labels, budget, seed, threads)
            for train, test in block.folds:
                predicted[test] = fit_on(table, train, settings, seed, threads).predict(table.matrix[test])
                reference[test] = table.y[train].mean()
                for guess, make in guesses.items():
                    guessed[guess][test] = make(train, test)
        all_metrics.append(measure(table, predicted, reference, labels))
        all_baselines.append({guess: measure(table, values, reference, labels) for guess, values in guessed.items()})
        kept = kept or (predicted, reference, sum(len(block.folds) for block in blocks))
    assert kept is not None
    return Validation(
        name,
        kept[0],
        kept[1],
        _mean(all_metrics),
        {guess: _mean([each[guess] for each in all_baselines]) for guess in all_baselines[0]},
        kept[2],
    )


def tune_on(table: Table, rows: np.ndarray, labels: np.ndarray, budget: Budget, seed: int, threads: int) -> Settings:
    """Settings chosen on some rows of a table only."""
    return tune(
        table.matrix[rows],
        table.y[rows],
        labels[rows],
        categorical=table.schema.categorical,
        trials=budget.inner_trials,
        budget=budget,
        seed=seed,
        threads=threads,
    ).settings


def fit_on(table: Table, rows: np.ndarray, settings: Settings, seed: int, threads: int):  # noqa: ANN201
    """A model fitted on some rows of a table only."""
    return fit(
        table.matrix[rows], table.y[rows], settings, categorical=table.schema.categorical, seed=seed, threads=threads
    )


def measure(table: Table, predicted: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every metric of one set of predictions.

    `rmse_group_mean` is the mean over groups of each group's RMSE (the protocol of leave-one-language-out tables);
    `coverage` is the share of rows inside a 90 % interval calibrated on the other groups' errors.
    """
    y = table.y
    out = scores(y, predicted, reference, table.points)
    out.update(regret(y, predicted, table.tasks))
    out["cost_saved"] = cost_saved(y, predicted, table.tasks, table.price)
    text = np.asarray(labels, dtype=str)
    by_group = [np.sqrt(np.mean((predicted - y)[text == label] ** 2)) for label in np.unique(text)]
    out["rmse_group_mean"] = float(np.mean(by_group))
    out["coverage"] = float(np.mean(coverage(predicted - y, labels, LEVEL)))
    return out


def permutation_control(table: Table, budget: Budget, *, seed: int = 0, threads: int = 1, repeats: int = 3) -> float:
    """R² of the whole procedure in the grouped split after the targets were dealt to the rows at random: about 0.

    Mean over `repeats` shuffles; anything clearly above 0 means that the validation leaks.
    """
    found = []
    for repeat in range(repeats):
        order = np.random.default_rng(seed + 1000 + repeat).permutation(len(table))
        shuffled = replace(table, y=table.y[order])
        small = replace(budget, fits=5, repeats=1)
        result = validate(shuffled, "group", small, seed=seed + repeat, threads=threads, with_baselines=False)[0]
        found.append(result.metrics["r2"])
    return float(np.mean(found))


def _random_blocks(n: int, seed: int) -> list[Block]:
    return [Block(train, ((train, test),)) for train, test in random_folds(n, 5, seed)]


def _group_blocks(labels: np.ndarray, budget: Budget, seed: int) -> list[Block]:
    """Leave-one-group-out in blocks: each block is tuned without any of its groups, then every group is left out alone.

    With more groups than `budget.fits`, whole groups share a fold.
    """
    folds = group_folds(labels, budget.fits, seed)
    everything = np.arange(len(labels))
    dealt = np.array_split(np.arange(len(folds)), min(5, len(folds)))
    blocks = []
    for part in dealt:
        tested = np.concatenate([folds[i][1] for i in part])
        blocks.append(Block(np.setdiff1d(everything, tested), tuple(folds[i] for i in part)))
    return blocks


def _mean(metrics: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in metrics])) for name in metrics[0]}
