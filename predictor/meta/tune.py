"""Optuna chooses a predictor's settings by grouped cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna

from predictor.meta.linear import fit_linear
from predictor.meta.model import Recipe, dataset, start
from predictor.meta.screen import Screening, screen
from predictor.meta.settings import Settings
from predictor.meta.splits import Fold, tuning_folds

OnTrial = Callable[[int, int, float], None]
"""Called after each trial with its number, the number of trials and the best RMSE so far."""


ALPHAS = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
NEARLY_BEST = 1.05
"""Trials whose error is within this factor of the best are averaged with it."""
_COMMON = {"feature_fraction": 0.6, "bagging_fraction": 0.8, "lambda_l2": 1.0, "extra_trees": False}


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
        controls: times the targets are shuffled for the permuted control.
        members: best trials that the final model averages.
    """

    trials: int
    inner_trials: int
    folds: int = 5
    max_rounds: int = 300
    tuning_rows: int = 3000
    fits: int = 60
    repeats: int = 2
    controls: int = 2
    members: int = 4

    @classmethod
    def for_rows(cls, rows: int, trials: int = 0) -> Budget:
        """A budget that keeps a table of this size within minutes on two cores; `trials` overrides the tuning."""
        if rows < 50:
            budget = cls(trials=20, inner_trials=7, folds=4, max_rounds=40, repeats=1)
        elif rows < 600:
            budget = cls(trials=40, inner_trials=12, max_rounds=300, repeats=3)
        elif rows < 4000:
            budget = cls(trials=24, inner_trials=8, folds=4, max_rounds=400, repeats=1)
        else:
            budget = cls(16, 4, folds=3, max_rounds=400, tuning_rows=2000, fits=5, repeats=1, controls=1, members=2)
        if trials > 0:
            budget = replace(budget, trials=trials, inner_trials=max(3, trials // 3))
        return budget


@dataclass(frozen=True)
class Tuned:
    """The recipe made of the best trials, the screening, and the cross-validated RMSE of every trial, in order."""

    recipe: Recipe
    screening: Screening
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

    The features are screened first; each trial chooses whether it reads all of them or the kept ones. A trial boosts
    every fold once; the number of rounds is the minimum of the error curve summed over folds (0 rounds, the linear part
    alone, included), so that rounds cost no trials of their own. The recipe averages up to `budget.members` trials
    that are about as good as the best.
    """
    rows = _whole_groups(groups, budget.tuning_rows, seed)
    matrix, y, groups = matrix[rows], y[rows], groups[rows]
    screening = screen(matrix, y, groups, categorical=categorical, seed=seed, threads=threads, folds=budget.folds)
    everything = tuple(range(matrix.shape[1]))
    folds = tuning_folds(groups, budget.folds, seed)
    views = {
        screened: _View(matrix[:, columns], columns, y, folds, categorical)
        for screened, columns in ((False, everything), (True, screening.kept))
    }
    steps = _steps(budget.max_rounds)
    history: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        settings = _suggest(trial, len(y))
        curve = _curve(views[settings.screened], y, settings, steps, seed, threads)
        best = int(np.argmin(curve))
        trial.set_user_attr("rounds", int(steps[best]))
        rmse = float(np.sqrt(curve[best] / len(y)))
        history.append(rmse)
        if on_trial:
            on_trial(len(history), trials, min(history))
        return rmse

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(5, trials // 3))
    )
    for screened, view in views.items():
        study.enqueue_trial({**_first(len(y)), "screened": screened, "linear": True, "alpha": _best_alpha(view, y)})
    study.enqueue_trial({**_first(len(y)), "screened": False, "linear": False})
    study.optimize(objective, n_trials=trials)
    ranked = sorted(study.trials, key=lambda trial: trial.value if trial.value is not None else np.inf)
    members = tuple(
        replace(_suggest(optuna.trial.FixedTrial(trial.params), len(y)), rounds=trial.user_attrs["rounds"])
        for trial in ranked[: budget.members]
        if trial.value is not None and trial.value <= NEARLY_BEST * study.best_value
    )
    return Tuned(Recipe(members, screening.kept), screening, study.best_value, tuple(history))


def _first(rows: int) -> dict[str, float | int | bool]:
    """Where the search begins: few trials must not depend on luck. Deeper trees as the rows allow them."""
    if rows < 50:
        return {**_COMMON, "learning_rate": 0.08, "num_leaves": 3, "min_child_share": 0.2}
    shape = {"num_leaves": min(15, 3 + rows // 40), "min_child_share": min(0.1, 10.0 / rows)}
    return {**_COMMON, "learning_rate": 0.06, **shape}


def _best_alpha(view: _View, y: np.ndarray) -> float:
    """The ridge penalty with the least cross-validated error of the linear part alone: cheap, so not left to luck."""

    def error(alpha: float) -> float:
        total = 0.0
        for train, test, _ in view.folds:
            line = fit_linear(view.matrix[train], y[train], alpha, skip=view.codes)
            total += float(np.sum((line.predict(view.matrix[test]) - y[test]) ** 2))
        return total

    return min(ALPHAS, key=error)


def _suggest(trial: optuna.trial.BaseTrial, rows: int) -> Settings:
    """The search space; small tables get stumps and strong shrinkage only."""
    small = rows < 50
    child = (0.15, 0.25) if small else (2.0 / rows, 0.1)
    return Settings(
        screened=trial.suggest_categorical("screened", [False, True]),
        linear=trial.suggest_categorical("linear", [True, False]),
        alpha=trial.suggest_float("alpha", ALPHAS[0], ALPHAS[-1], log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.03, 0.2, log=True),
        num_leaves=trial.suggest_int("num_leaves", 2, 3 if small else min(31, 3 + rows // 20), log=True),
        min_child_share=trial.suggest_float("min_child_share", *child, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.2, 1.0),
        bagging_fraction=trial.suggest_float("bagging_fraction", 0.6, 1.0),
        lambda_l2=trial.suggest_float("lambda_l2", 0.01, 30.0, log=True),
        extra_trees=trial.suggest_categorical("extra_trees", [False, True]),
    )


class _View:
    """Some columns of the matrix and its folds, binned once for all trials; a trial only changes the label."""

    def __init__(
        self,
        matrix: np.ndarray,
        columns: Sequence[int],
        y: np.ndarray,
        folds: Sequence[Fold],
        categorical: Sequence[int],
    ) -> None:
        self.matrix = matrix
        self.codes = [i for i, column in enumerate(columns) if column in categorical]
        self.folds = [(train, test, dataset(matrix[train], y[train], self.codes)) for train, test in folds]


def _steps(max_rounds: int) -> np.ndarray:
    """Numbers of rounds at which a trial is judged: 0, then about a fifth more each time."""
    return np.unique(np.concatenate([[0], np.geomspace(2, max_rounds, 24).round()]).astype(int))


def _curve(view: _View, y: np.ndarray, settings: Settings, steps: np.ndarray, seed: int, threads: int) -> np.ndarray:
    """Squared error summed over the folds' test rows after each number of rounds in `steps`."""
    total = np.zeros(len(steps))
    for train, test, data in view.folds:
        x = view.matrix
        linear = fit_linear(x[train], y[train], settings.alpha, skip=view.codes) if settings.linear else None
        begin = linear.predict(x) if linear else np.full(len(y), y[train].mean())
        data.set_label((y - begin)[train])
        booster = start(data, settings, seed, threads)
        predicted = begin[test]
        curve = np.full(len(steps), np.nan)
        curve[0] = np.sum((predicted - y[test]) ** 2)
        for i in range(1, len(steps)):
            before, rounds = int(steps[i - 1]), int(steps[i] - steps[i - 1])
            for _ in range(rounds):
                booster.update()
            predicted = predicted + booster.predict(
                x[test], start_iteration=before, num_iteration=rounds, num_threads=threads
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
