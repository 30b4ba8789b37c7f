"""Optuna chooses a predictor's settings by grouped cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, get_args

import numpy as np
import optuna

from predictor.meta.blend import better, blend, group_errors
from predictor.meta.curves import View, checkpoints
from predictor.meta.model import Recipe
from predictor.meta.screen import Screening, screen
from predictor.meta.settings import RIDGES, Kind, Settings
from predictor.meta.splits import tuning_folds

OnTrial = Callable[[int, int, float], None]
"""Called after each trial with its number, the number of trials and the best RMSE so far."""


ALPHAS = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
FEW_ROWS = 50
"""Below this many rows trees are stumps, and differences of features are not read."""
DIFFERENCES = 6
"""So many of the strongest features are also read as differences."""
USUAL_ROUNDS = 18.0
"""Rounds times learning rate that are used unless cross-validation speaks against them."""
_COMMON = {"feature_fraction": 0.8, "bagging_fraction": 0.8, "lambda_l2": 1.0}


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
        members: trials that the final model averages, one that is averaged twice counting twice.
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
        if rows < FEW_ROWS:
            budget = cls(trials=20, inner_trials=7, folds=4, max_rounds=40, repeats=1)
        elif rows < 600:
            budget = cls(trials=40, inner_trials=12, max_rounds=200, repeats=3, members=6)
        elif rows < 4000:
            budget = cls(trials=24, inner_trials=8, folds=4, max_rounds=500, repeats=1)
        else:
            budget = cls(12, 4, folds=3, max_rounds=250, tuning_rows=2000, fits=5, repeats=1, controls=1, members=3)
        if trials > 0:
            budget = replace(budget, trials=trials, inner_trials=max(3, trials // 3))
        return budget


@dataclass(frozen=True)
class Tuned:
    """The recipe, its screening, its cross-validated error, groups counting alike, and that of every trial in order."""

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
    anchor: int | None = None,
    on_trial: OnTrial | None = None,
) -> Tuned:
    """The settings that grouped cross-validation prefers: defaults, and what seeded TPE trials add to them.

    The features are screened first; each trial chooses whether it reads all of them or the kept ones. A trial boosts
    every fold once; the number of rounds is read off the error curve (0 rounds, the trend alone, included), so
    that rounds cost no trials of their own. Groups count alike (:func:`predictor.meta.blend.group_errors`). The first
    trials are the defaults; :func:`predictor.meta.blend.blend` says which others join them.

    Args:
        anchor: position of the feature that a predictor leans on; None takes the strongest where one is needed.
    """
    rows = _whole_groups(groups, budget.tuning_rows, seed)
    matrix, y, groups = matrix[rows], y[rows], groups[rows]
    screening = screen(matrix, y, groups, categorical=categorical, seed=seed, threads=threads, folds=budget.folds)
    everything = tuple(range(matrix.shape[1]))
    folds = tuning_folds(groups, budget.folds, seed)
    _, codes = np.unique(groups.astype(str), return_inverse=True)
    few = len(y) < FEW_ROWS
    differences = 0 if few else DIFFERENCES
    views = {
        screened: View(matrix, columns, y, folds, categorical, differences, anchor)
        for screened, columns in ((False, everything), (True, screening.kept))
    }
    steps = checkpoints(budget.max_rounds)
    history: list[float] = []
    predicted: list[np.ndarray] = []

    def objective(trial: optuna.Trial) -> float:
        settings = _suggest(trial, len(y))
        usual = int(np.abs(steps - USUAL_ROUNDS / settings.learning_rate).argmin())
        curve = views[settings.screened].curve(settings, steps, usual, seed, threads)
        best = _rounds([group_errors(each - y, codes) for each in curve], usual)
        trial.set_user_attr("rounds", int(steps[best]))
        predicted.append(curve[best])
        history.append(float(group_errors(curve[best] - y, codes).mean()))
        if on_trial:
            on_trial(len(history), trials, min(history))
        return history[-1]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=max(5, trials // 3))
    )
    defaults = _defaults(few, anchor is not None)
    for each in defaults:
        # A penalty means nothing to a trend without a ridge, and is not searched for there.
        ridge = each["trend"] in RIDGES
        alpha = views[each["screened"]].best_alpha(each["trend"], ALPHAS) if ridge else ALPHAS[0]
        study.enqueue_trial({**_first(len(y)), **each, "alpha": alpha})
    study.optimize(objective, n_trials=trials)
    begin = _begin(np.array(predicted[: len(defaults)]), y, codes)
    chosen = blend(np.array(predicted), y, codes, begin, budget.members)
    members = tuple(
        replace(
            _suggest(optuna.trial.FixedTrial(study.trials[i].params), len(y)),
            rounds=study.trials[i].user_attrs["rounds"],
            differences=differences,
        )
        for i in chosen
    )
    error = group_errors(np.mean([predicted[i] for i in chosen], axis=0) - y, codes).mean()
    return Tuned(Recipe(members, screening.kept, anchor), screening, float(error), tuple(history))


def _begin(predicted: np.ndarray, y: np.ndarray, codes: np.ndarray) -> list[int]:
    """Positions of the defaults that the blend begins with, from the predictions of those that were tried.

    The first with the better of the next two, unless another default or pair of them does significantly better.
    """
    if len(predicted) < 3:
        return list(range(len(predicted)))
    options = [[i] for i in range(len(predicted))] + [list(pair) for pair in combinations(range(len(predicted)), 2)]
    errors = [group_errors(predicted[option].mean(axis=0) - y, codes) for option in options]
    usual = options.index([0, min((1, 2), key=lambda i: errors[i].mean())])
    best = min(range(len(options)), key=lambda i: errors[i].mean())
    return options[best if better(errors[best], errors[usual]) else usual]


def _rounds(errors: Sequence[np.ndarray], usual: int) -> int:
    """Position on the error curve that is used: the usual one, unless another is significantly better.

    Past a certain point the curve is flat, and where on it the minimum lies is luck.
    """
    best = int(np.argmin([each.mean() for each in errors]))
    return best if better(errors[best], errors[usual]) else usual


def _defaults(few: bool, anchored: bool) -> list[dict[str, Any]]:
    """The first trials; the first, averaged with the better of the next two, is where the blend begins as a rule.

    A booster knows no trend beyond what it saw; one over a line through the strongest feature, or over a ridge on all,
    does, and their errors differ. With few rows trees have too little to split, and the ridge comes first. Where the
    score after the first steps is known, it says most of what can be said of datasets unlike any seen, along a curve
    that only rises: the others correct it.
    """

    def default(trend: Kind, screened: bool = False, extra_trees: bool = False) -> dict[str, Any]:
        return {"trend": trend, "screened": screened, "extra_trees": extra_trees}

    booster, line, ridge = (default(each) for each in ("mean", "line", "ridge"))
    rest = [default("ridge", screened=True), default("mean", extra_trees=True)]
    if anchored:
        anchored_ones = [default(trend, extra_trees=True) for trend in ("curve", "line", "corrected")]
        return [*anchored_ones, booster, ridge]
    return [ridge, line, booster, *rest] if few else [booster, line, ridge, *rest]


def _first(rows: int) -> dict[str, float | int | bool]:
    """LightGBM's settings of the defaults. Deeper trees as the rows allow them."""
    if rows < FEW_ROWS:
        return {**_COMMON, "learning_rate": 0.08, "num_leaves": 3, "min_child_share": 0.2}
    shape = {"num_leaves": min(15, 3 + rows // 40), "min_child_share": min(0.1, 10.0 / rows)}
    return {**_COMMON, "learning_rate": 0.1, **shape}


def _suggest(trial: optuna.trial.BaseTrial, rows: int) -> Settings:
    """The search space; small tables get stumps and strong shrinkage only."""
    small = rows < FEW_ROWS
    child = (0.15, 0.25) if small else (2.0 / rows, 0.1)
    trend: Kind = trial.suggest_categorical("trend", list(get_args(Kind)))  # type: ignore[assignment]
    return Settings(
        screened=trial.suggest_categorical("screened", [False, True]),
        trend=trend,
        alpha=trial.suggest_float("alpha", ALPHAS[0], ALPHAS[-1], log=True),
        learning_rate=trial.suggest_float("learning_rate", 0.06, 0.2, log=True),
        num_leaves=trial.suggest_int("num_leaves", 2, 3 if small else min(31, 3 + rows // 20), log=True),
        min_child_share=trial.suggest_float("min_child_share", *child, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.4, 1.0),
        bagging_fraction=trial.suggest_float("bagging_fraction", 0.6, 1.0),
        lambda_l2=trial.suggest_float("lambda_l2", 0.01, 30.0, log=True),
        extra_trees=trial.suggest_categorical("extra_trees", [False, True]),
    )


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
