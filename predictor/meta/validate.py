"""How well the whole procedure, screening and tuning included, predicts rows that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from predictor.errors import ConfigError, TableError
from predictor.meta.baselines import baselines
from predictor.meta.blend import group_errors
from predictor.meta.interval import coverage
from predictor.meta.known import anchor_of
from predictor.meta.model import Model, Recipe, fit
from predictor.meta.scores import cost_saved, regret, scores
from predictor.meta.splits import Fold, group_folds, random_folds
from predictor.meta.tune import Budget, Tuned, tune
from predictor.table import Table

SPLITS = ("group", "random", "family", "lolo")
UNSEEN = ("group", "family")
"""Splits whose models saw nothing like the rows that they predict."""
PARTS = 40
"""Parts into which tuning for the random split deals the rows."""
LEVEL = 0.9
OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Block:
    """Folds that share one tuning; `tuning` holds none of the rows that any of its folds tests."""

    tuning: np.ndarray
    folds: tuple[Fold, ...]


@dataclass(frozen=True)
class Validation:
    """Predictions of every row by models that never saw it, nor were screened or tuned on it.

    Attributes:
        split: `group`, `random`, `family` or `lolo/<column>`.
        labels: (n,) what is left out together; in the random split the groups, though they are not.
        predicted, reference: (n,), of the first repeat; reference is the mean of the rows that taught.
        metrics: the predictor's, averaged over the repeats.
        baselines: name → metrics.
        folds: number of models that were fitted for one repeat.
        blocks, tuned: of the first repeat: what was tuned on what.
    """

    split: str
    labels: np.ndarray
    predicted: np.ndarray
    reference: np.ndarray
    metrics: Mapping[str, float]
    baselines: Mapping[str, Mapping[str, float]]
    folds: int
    blocks: tuple[Block, ...]
    tuned: tuple[Tuned, ...]

    @property
    def best_baseline(self) -> tuple[str, float]:
        """Name and RMSE of the baseline with the least error."""
        name = min(self.baselines, key=lambda each: self.baselines[each]["rmse"])
        return name, self.baselines[name]["rmse"]

    def errors(self, table: Table) -> tuple[np.ndarray, np.ndarray]:
        """Predicted minus measured, and the labels, of the rows that count."""
        return (self.predicted - table.y)[table.judged], self.labels[table.judged]


def harder(validations: Mapping[str, Validation]) -> Validation:
    """The split by which a predictor is judged first: of those in :data:`UNSEEN`, the one with the larger RMSE."""
    return max((validations[name] for name in UNSEEN if name in validations), key=lambda each: each.metrics["rmse"])


def validate(
    table: Table,
    split: str,
    budget: Budget,
    *,
    seed: int = 0,
    threads: int = 1,
    with_baselines: bool = True,
    known: Validation | None = None,
    on_step: OnStep | None = None,
) -> list[Validation]:
    """The validations of one kind of split; `lolo` gives one for each group column.

    Args:
        known: the grouped validation of the same table and budget, which is what `lolo` does to the headline column.

    Raises:
        ConfigError: an unknown split. TableError: the families of the table's rows are not known.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split '{split}'", where="-P split", rule=f"one of: {', '.join(SPLITS)}")
    if split != "lolo":
        labels = _families(table) if split == "family" else table.group
        return [_validate(table, split, labels, budget, seed, threads, with_baselines, on_step)]
    found = []
    for column, labels in table.groups.items():
        if known is not None and column == table.headline_group:
            found.append(replace(known, split=f"lolo/{column}"))
        else:
            found.append(_validate(table, f"lolo/{column}", labels, budget, seed, threads, with_baselines, on_step))
    return [_by_group_mean(each) for each in found]


def _families(table: Table) -> np.ndarray:
    if table.families is None:
        raise TableError(
            "no family can be left out" + (f": {table.no_families}" if table.no_families else ""),
            where=table.source,
            rule="runs whose datasets are of at least three families, all of them known",
            fix="say how each dataset was made when it is fine-tuned on: -P family=NAME",
        )
    return table.families


def _by_group_mean(validation: Validation) -> Validation:
    """`rmse` as leave-one-language-out tables publish it: the mean over groups; the RMSE over all rows beside it."""

    def renamed(metrics: Mapping[str, float]) -> dict[str, float]:
        return {**metrics, "rmse": metrics["rmse_group_mean"], "rmse_rows": metrics["rmse"]}

    baselines = {name: renamed(metrics) for name, metrics in validation.baselines.items()}
    return replace(validation, metrics=renamed(validation.metrics), baselines=baselines)


def _validate(
    table: Table,
    name: str,
    labels: np.ndarray,
    budget: Budget,
    seed: int,
    threads: int,
    with_baselines: bool,
    on_step: OnStep | None,
) -> Validation:
    passes = []
    # What is left out together while tuning: as in the split itself, so that each is tuned for what it is judged by.
    together = _random_parts(len(table), seed) if name == "random" else labels
    for repeat in range(budget.repeats if name == "random" else 1):
        blocks = _random_blocks(len(table), seed + repeat) if name == "random" else _group_blocks(labels, budget, seed)
        tuned = []
        for number, block in enumerate(blocks, 1):
            if on_step:
                on_step(f"{name} split, repeat {repeat + 1}, block {number} of {len(blocks)}")
            tuned.append(tune_on(table, block.tuning, together, budget, seed, threads))
        predicted, reference = out_of_fold(table, blocks, [each.recipe for each in tuned], seed, threads)
        guesses = _guess(table, blocks, together) if with_baselines else {}
        passes.append((blocks, tuned, predicted, reference, guesses))
    metrics = [measure(table, predicted, reference, labels) for _, _, predicted, reference, _ in passes]
    compared = [{n: measure(table, g, reference, labels) for n, g in each.items()} for *_, reference, each in passes]
    blocks, tuned, predicted, reference, _ = passes[0]
    return Validation(
        split=name,
        labels=labels,
        predicted=predicted,
        reference=reference,
        metrics=_mean(metrics),
        baselines={guess: _mean([each[guess] for each in compared]) for guess in compared[0]},
        folds=sum(len(block.folds) for block in blocks),
        blocks=tuple(blocks),
        tuned=tuple(tuned),
    )


def tune_on(table: Table, rows: np.ndarray, labels: np.ndarray, budget: Budget, seed: int, threads: int) -> Tuned:
    """Screening and settings from some rows of a table only."""
    return tune(
        table.matrix[rows],
        table.y[rows],
        labels[rows],
        categorical=table.schema.categorical,
        trials=budget.inner_trials,
        budget=budget,
        seed=seed,
        threads=threads,
        anchor=anchor_of(table),
    )


def fit_on(table: Table, rows: np.ndarray, recipe: Recipe, seed: int, threads: int) -> Model:
    """A model fitted on some rows of a table only."""
    return fit(
        table.matrix[rows], table.y[rows], recipe, categorical=table.schema.categorical, seed=seed, threads=threads
    )


def out_of_fold(
    table: Table, blocks: Sequence[Block], recipes: Sequence[Recipe], seed: int, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of every row by models without it, one recipe for each block; and the means of what taught them."""
    predicted, reference = np.full(len(table), np.nan), np.full(len(table), np.nan)
    for block, recipe in zip(blocks, recipes, strict=True):
        for train, test in block.folds:
            predicted[test] = fit_on(table, train, recipe, seed, threads).predict(table.matrix[test])
            reference[test] = table.y[train].mean()
    return predicted, reference


def measure(table: Table, predicted: np.ndarray, reference: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Every metric of one set of predictions, on the rows that count (:attr:`Table.judged`).

    `rmse_group_mean` is the mean over groups of each group's RMSE (the protocol of leave-one-language-out tables);
    `coverage` is the share of rows inside a 90 % interval calibrated on the other groups' errors.
    """
    judged = table.judged
    y, tasks, price = table.y[judged], table.tasks[judged], table.price[judged]
    predicted, reference, labels = predicted[judged], reference[judged], labels[judged]
    out = scores(y, predicted, reference, table.target.point)
    out.update(regret(y, predicted, tasks, table.target.sign))
    out["cost_saved"] = cost_saved(y, predicted, tasks, price, table.target.sign)
    _, codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    out["rmse_group_mean"] = float(group_errors(predicted - y, codes).mean())
    out["coverage"] = float(np.mean(coverage(predicted - y, labels, LEVEL)))
    return out


def permutation_control(table: Table, budget: Budget, *, seed: int = 0, threads: int = 1) -> float:
    """R² of the whole procedure in the grouped split after the targets were dealt to the rows at random: about 0.

    Mean over `budget.controls` shuffles; anything clearly above 0 means that the validation leaks.
    """
    found = []
    for repeat in range(budget.controls):
        order = np.random.default_rng(seed + 1000 + repeat).permutation(len(table))
        shuffled = replace(table, y=table.y[order])
        small = replace(budget, fits=5, repeats=1)
        result = validate(shuffled, "group", small, seed=seed + repeat, threads=threads, with_baselines=False)[0]
        found.append(result.metrics["r2"])
    return float(np.mean(found))


def _guess(table: Table, blocks: Sequence[Block], labels: np.ndarray) -> dict[str, np.ndarray]:
    guessed = {}
    for name, guess in baselines(table, labels).items():
        guessed[name] = np.full(len(table), np.nan)
        for block in blocks:
            for train, test in block.folds:
                guessed[name][test] = guess(train, test)
    return guessed


def _random_parts(n: int, seed: int) -> np.ndarray:
    """(n,) rows dealt into parts at random: what a group is to tuning where single rows are left out.

    Not the rows themselves: the error of a part is a RMSE, that of one row an absolute error.
    """
    return np.random.default_rng(seed).permutation(n) % min(n, PARTS)


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
