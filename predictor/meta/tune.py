"""Optuna chooses a predictor's settings by grouped cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import optuna

from predictor.meta.linear import fit_linear
from predictor.meta.model import dataset, start
from predictor.meta.settings import Settings
from predictor.meta.splits import Fold, tuning_folds

OnTrial = Callable[[int, int, float], None]
"""Called after each trial with its number, the number of trials and the best RMSE so far."""


@dataclass(frozen=True)
class Budget:
    """How much work tuning and validation may do.

    Attributes:
        trials: Optuna trials of the final tuning.
        inner_trials: trials of each tuning inside validation.
        folds: folds of the cross-validation that judges a trial.
        max_rounds: boosting rounds at most; the best number is read off the validation curve.
        tuning_rows: tuning sees at most this many rows, whole groups at a time.
        fits: grouped validation fits at most this many models (leave-one-group-out up to that many groups).
        repeats: times the random split is repeated.
    """

    trials: int
    inner_trials: int
    folds: int = 5
    max_rounds: int = 300
    tuning_rows: int = 3000
    fits: int = 60
    repeats: int = 2

    @classmethod
    def for_rows(cls, rows: int, trials: int = 0) -> Budget:
        """A budget that keeps a table of this size within minutes on two cores; `trials` overrides the tuning."""
        if rows < 50:
            budget = cls(trials=24, inner_trials=8, folds=5, max_rounds=60, repeats=2)
        elif rows < 600:
            budget = cls(trials=40, inner_trials=12, max_rounds=300, repeats=3)
        elif rows < 4000:
            budget = cls(trials=24, inner_trials=8, folds=4, max_rounds=400, repeats=1)
        else:
            budget = cls(trials=16, inner_trials=5, folds=3, max_rounds=400, fits=10, repeats=1)
        if trials > 0:
            budget = cls(**{**budget.__dict__, "trials": trials, "inner_trials": max(3, min(trials, trials // 3))})
        return budget


@dataclass(frozen=True)
class Tuned:
    """The chosen settings and the cross-validated RMSE of every trial, in order."""

    settings: Settings
    rmse: float
    history: tuple[float, ...]


def tune(
    matrix: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    *,
    categorical: Sequence[int],
    trials: int,
    budget: Budget,
    seed: int,
    threads: int = 1,
    on_trial: OnTrial | None = None,
) -> Tuned:
    """The settings with the least grouped cross-validation error among seeded TPE trials.

    A trial boosts every fold once; the number of rounds is the minimum of the error curve summed over folds (0 rounds,
    the linear part alone, included), so that rounds cost no trials of their own.
    """
    rows = _whole_groups(groups, budget.tuning_rows, seed)
    matrix, y, groups = matrix[rows], y[rows], groups[rows]
    folds = _prepare(matrix, y, tuning_folds(groups, budget.folds, seed), categorical)
    steps = _steps(budget.max_rounds)
    history: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        settings = _suggest(trial, len(y))
        curve = _curve(matrix, y, settings, folds, categorical, steps, seed, threads)
        best = int(np.argmin(curve))
        trial.set_user_attr("rounds", int(steps[best]))
        rmse = float(np.sqrt(curve[best] / len(y)))
        history.append(rmse)
        if on_trial:
            on_trial(len(history), trials, min(history))
        return rmse

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(5, trials // 4))
    )
    for linear in (True, False):
        study.enqueue_trial({"linear": linear}, skip_if_exists=True)
    study.optimize(objective, n_trials=trials)
    best = study.best_trial
    settings = _suggest(optuna.trial.FixedTrial(best.params), len(y))
    return Tuned(Settings(**{**settings.to_json(), "rounds": best.user_attrs["rounds"]}), best.value, tuple(history))


def _suggest(trial: optuna.trial.BaseTrial, rows: int) -> Settings:
    """The search space; small tables get stumps and strong shrinkage only."""
    small = rows < 50
    linear = trial.suggest_categorical("linear", [True, False])
    return Settings(
        linear=linear,
        alpha=trial.suggest_float("alpha", 0.03 if small else 1e-3, 30.0, log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.03, 0.2, log=True),
        num_leaves=trial.suggest_int("num_leaves", 2, 3 if small else min(31, 3 + rows // 20), log=True),
        min_child_share=trial.suggest_float(
            "min_child_share", 0.15 if small else 2.0 / rows, 0.25 if small else 0.1, log=True
        ),
        feature_fraction=trial.suggest_float("feature_fraction", 0.2, 1.0),
        bagging_fraction=trial.suggest_float("bagging_fraction", 0.6, 1.0),
        lambda_l2=trial.suggest_float("lambda_l2", 0.01, 30.0, log=True),
        extra_trees=trial.suggest_categorical("extra_trees", [False, True]),
    )


@dataclass(frozen=True)
class _Fold:
    """A fold whose features are binned once for all trials; a trial only changes the label."""

    train: np.ndarray
    test: np.ndarray
    data: lightgbm.Dataset


def _prepare(matrix: np.ndarray, y: np.ndarray, folds: Sequence[Fold], categorical: Sequence[int]) -> list[_Fold]:
    return [_Fold(train, test, dataset(matrix[train], y[train], categorical)) for train, test in folds]


def _steps(max_rounds: int) -> np.ndarray:
    """Numbers of rounds at which a trial is judged: 0, then about a fifth more each time."""
    return np.unique(np.concatenate([[0], np.geomspace(2, max_rounds, 24).round()]).astype(int))


def _curve(
    matrix: np.ndarray,
    y: np.ndarray,
    settings: Settings,
    folds: Sequence[_Fold],
    categorical: Sequence[int],
    steps: np.ndarray,
    seed: int,
    threads: int,
) -> np.ndarray:
    """Squared error summed over the folds' test rows after each number of rounds in `steps`."""
    total = np.zeros(len(steps))
    for fold in folds:
        train, test = fold.train, fold.test
        linear = fit_linear(matrix[train], y[train], settings.alpha, skip=categorical) if settings.linear else None
        begin = linear.predict(matrix) if linear else np.full(len(y), y[train].mean())
        fold.data.set_label((y - begin)[train])
        booster = start(fold.data, settings, seed, threads)
        predicted = begin[test]
        curve = np.full(len(steps), np.nan)
        curve[0] = np.sum((predicted - y[test]) ** 2)
        for i in range(1, len(steps)):
            before, rounds = int(steps[i - 1]), int(steps[i] - steps[i - 1])
            for _ in range(rounds):
                booster.update()
            predicted = predicted + booster.predict(
                matrix[test], start_iteration=before, num_iteration=rounds, num_threads=threads
            )
            curve[i] = np.sum((predicted - y[test]) ** 2)
            if i >= 8 and curve[i - 3 : i + 1].min() > np.nanmin(curve):
                # Four judgements without a gain: the rest of the curve would not be chosen either.
                curve[i:] = curve[i]
                break
        total += curve
    return total


def _whole_groups(groups: np.ndarray, rows: int, seed: int) -> np.ndarray:
    """Positions of at most `rows` rows made of whole groups in random order (of single rows where groups are huge)."""
    n = len(groups)
    if n <= rows:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    labels, codes = np.unique(groups.astype(str), return_inverse=True)
    taken = np.zeros(n, dtype=bool)
    for code in rng.permutation(len(labels)):
        member = codes == code
        if taken.sum() + member.sum() <= rows:
            taken |= member
    if taken.sum() < rows // 2:
        return np.sort(rng.permutation(n)[:rows])
    return np.flatnonzero(taken)
