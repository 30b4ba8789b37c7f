"""How good a set of predictions is: error, order, and what choosing by them costs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import spearmanr


def scores(y: np.ndarray, predicted: np.ndarray, reference: np.ndarray, point: float) -> dict[str, float]:
    """RMSE, MAE, R², Spearman and the share within ±3 points.

    Args:
        y, predicted: (n,), in the target's unit.
        reference: (n,), the mean of the rows that taught each prediction. R² is measured against it (what one would say
            without features), not against the mean of the test rows, which nobody knows beforehand.
        point: one point in the target's unit.
    """
    error = predicted - y
    rest = float(np.sum((y - reference) ** 2))
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": mean_absolute_error(y, predicted),
        "r2": 1.0 - float(np.sum(error**2)) / rest if rest > 0 else float("nan"),
        "spearman": spearman(y, predicted),
        "within_3_points": float(np.mean(np.abs(error) <= 3.0 * point + 1e-12)),
    }


def mean_absolute_error(y: np.ndarray, predicted: np.ndarray) -> float:
    """Mean |ŷ − y|, in the target's unit."""
    return float(np.mean(np.abs(predicted - y)))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Rank correlation with mean ranks for ties; NaN when either is constant."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    return float(spearmanr(a, b).statistic)


def regret(y: np.ndarray, predicted: np.ndarray, tasks: np.ndarray, sign: float = 1.0) -> dict[str, float]:
    """Mean over tasks of how much worse the best of the top 1 (top 3) choices is than the best there was.

    Args:
        sign: −1 where lower is better; what is worse counts above 0 either way.
    """
    y, predicted = sign * y, sign * predicted
    top1, top3 = [], []
    for rows in _by_task(tasks).values():
        if len(rows) < 2:
            continue
        order = rows[np.argsort(-predicted[rows], kind="stable")]
        best = y[rows].max()
        top1.append(best - y[order[0]])
        top3.append(best - y[order[:3]].max())
    if not top1:
        return {"regret_top1": float("nan"), "regret_top3": float("nan")}
    return {"regret_top1": float(np.mean(top1)), "regret_top3": float(np.mean(top3))}


def cost_saved(y: np.ndarray, predicted: np.ndarray, tasks: np.ndarray, price: np.ndarray, sign: float = 1.0) -> float:
    """Share of the fine-tuning price saved at no regret: train in predicted order until the best is found.

    Mean over tasks of 1 − (price of the candidates trained until the best one is among them) / (price of all). Rows
    without a known price count as the mean price. Training everything saves 0. `sign` is −1 where lower is better.
    """
    y, predicted = sign * y, sign * predicted
    saved = []
    price = np.where(np.isfinite(price), price, np.nanmean(price) if np.isfinite(price).any() else 1.0)
    for rows in _by_task(tasks).values():
        if len(rows) < 2:
            continue
        order = rows[np.argsort(-predicted[rows], kind="stable")]
        stop = int(np.argmax(y[order] >= y[rows].max())) + 1
        saved.append(1.0 - price[order[:stop]].sum() / price[order].sum())
    return float(np.mean(saved)) if saved else float("nan")


def _by_task(tasks: np.ndarray) -> Mapping[str, np.ndarray]:
    labels = np.asarray(tasks, dtype=str)
    return {label: np.flatnonzero(labels == label) for label in np.unique(labels)}
