"""Figures of how well a predictor predicts what it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from predictor.report.labels import plain


def predicted_against_actual(
    y: np.ndarray,
    predicted: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    groups: np.ndarray,
    target: str,
    left_out: str = "group",
) -> Figure:
    """Predictions and the ends of their intervals against what the fine-tunes reached, (n,) each.

    Each prediction is by models that saw nothing of the row's group, or family.
    """
    figure = Figure(figsize=(6.5, 6))
    axes = figure.subplots()
    codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    if len(y) <= 400:
        lengths = predicted - bounds[0], bounds[1] - predicted
        axes.errorbar(y, predicted, yerr=lengths, fmt="none", ecolor="lightgrey", elinewidth=0.8, zorder=1)
    axes.scatter(y, predicted, c=codes, cmap="tab20", s=18, zorder=2)
    span = [min(y.min(), predicted.min()), max(y.max(), predicted.max())]
    axes.plot(span, span, color="grey", linewidth=1)
    axes.set_xlabel(f"{plain(target)}, measured")
    axes.set_ylabel(f"{plain(target)}, predicted without the row's {left_out} (90 % interval)")
    figure.tight_layout()
    return figure


def residuals(y: np.ndarray, predicted: np.ndarray, groups: np.ndarray, shown: int = 30) -> Figure:
    """Predicted minus measured by group; the groups with the largest mean error when there are more than `shown`."""
    labels = np.asarray(groups, dtype=str)
    error = predicted - y
    by_group = {label: error[labels == label] for label in np.unique(labels)}
    worst = sorted(by_group, key=lambda label: -abs(by_group[label].mean()))[:shown]
    figure = Figure(figsize=(8, 0.25 * len(worst) + 1.5))
    axes = figure.subplots()
    axes.boxplot([by_group[label] for label in reversed(worst)], orientation="horizontal", widths=0.6)
    axes.set_yticks(range(1, len(worst) + 1), [plain(label, most=48) for label in reversed(worst)], fontsize=7)
    axes.axvline(0.0, color="grey", linewidth=0.8)
    axes.set_xlabel("predicted − measured")
    figure.tight_layout()
    return figure


def against_baselines(rmse: Mapping[str, float], title: str) -> Figure:
    """RMSE of the predictor (the first entry) and of each baseline."""
    names: Sequence[str] = list(rmse)
    figure = Figure(figsize=(7, 0.35 * len(names) + 1.2))
    axes = figure.subplots()
    colours = ["#1e88e5", *["#b0bec5"] * (len(names) - 1)]
    axes.barh(range(len(names)), [rmse[name] for name in names[::-1]], color=colours[::-1])
    axes.set_yticks(range(len(names)), [plain(name) for name in names[::-1]])
    axes.set_xlabel("RMSE")
    axes.set_title(plain(title), fontsize=10)
    figure.tight_layout()
    return figure


def error_against_runs(
    rows: Sequence[float], rmse: Sequence[float], floor: float, more: tuple[float, float], unseen: str = "groups"
) -> Figure:
    """Error on unseen groups, or families, against the rows that taught.

    Args:
        more: a point (rows, rmse) that was extrapolated.
    """
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.plot(rows, rmse, marker="o", color="#1e88e5", label="measured")
    axes.plot(
        [rows[-1], more[0]], [rmse[-1], more[1]], linestyle="--", marker="o", color="#90caf9", label="extrapolated"
    )
    if np.isfinite(floor):
        axes.axhline(floor, color="grey", linewidth=0.8, label="noise of the labels")
    axes.set_xlabel("rows that taught")
    axes.set_ylabel(f"RMSE on {unseen} not seen")
    axes.legend()
    figure.tight_layout()
    return figure
