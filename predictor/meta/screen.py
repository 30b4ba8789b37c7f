"""Which features a table's target really depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from predictor.meta.model import Recipe, fit
from predictor.meta.settings import Settings
from predictor.meta.splits import tuning_folds

SETTINGS = Settings(trend="mean", rounds=60, num_leaves=7, learning_rate=0.08)
SHADOW_QUANTILE = 0.9
MIN_KEPT = 3


@dataclass(frozen=True)
class Screening:
    """Features judged by SHAP on rows that the judge was not fitted on, fold by fold.

    A feature is kept when its mean absolute SHAP value exceeds that of nearly all shuffled copies of the features (its
    "shadows", as in Boruta, Kursa & Rudnicki 2010) in at least half of the folds.

    Attributes:
        importance: mean absolute SHAP value over folds, (d,), in the target's unit.
        stability: share of the folds in which the feature beat the shadows, (d,).
        kept: positions, strongest first.
        reasons: for each feature, why it was kept or dropped.
    """

    importance: np.ndarray
    stability: np.ndarray
    kept: tuple[int, ...]
    reasons: tuple[str, ...]


def screen(
    matrix: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    *,
    categorical: Sequence[int] = (),
    seed: int = 0,
    threads: int = 1,
    folds: int = 5,
) -> Screening:
    """Screen the features of a matrix (n, d) for a target (n,), over grouped folds of its rows."""
    n, d = matrix.shape
    rng = np.random.default_rng(seed)
    cut = tuning_folds(groups, folds, seed)
    importance, beaten = np.zeros((len(cut), d)), np.zeros((len(cut), d), dtype=bool)
    for f, (train, test) in enumerate(cut):
        shadows = matrix[rng.permutation(n)]
        both = np.hstack([matrix, shadows])
        codes = [*categorical, *(j + d for j in categorical)]
        model = fit(both[train], y[train], Recipe((SETTINGS,)), categorical=codes, seed=seed + f, threads=threads)
        strength = np.abs(model.contributions(both[test])[:, :-1]).mean(axis=0)
        importance[f] = strength[:d]
        beaten[f] = strength[:d] > np.quantile(strength[d:], SHADOW_QUANTILE)
    mean, stability = importance.mean(axis=0), beaten.mean(axis=0)
    order = np.argsort(-mean, kind="stable")
    keep = {int(j) for j in order if stability[j] >= 0.5}
    keep |= {int(j) for j in order[:MIN_KEPT]}
    constant = [bool(np.nanmin(x) == np.nanmax(x)) if not np.isnan(x).all() else True for x in matrix.T]
    reasons = tuple(_reason(j in keep, constant[j], stability[j], len(cut)) for j in range(d))
    return Screening(mean, stability, tuple(int(j) for j in order if int(j) in keep), reasons)


def _reason(kept: bool, constant: bool, stability: float, folds: int) -> str:
    if constant:
        return "the same in every row"
    beats = f"stronger than its shuffled copies in {round(stability * folds)} of {folds} folds"
    return beats if kept or stability > 0 else f"no stronger than shuffled copies in any of {folds} folds"
