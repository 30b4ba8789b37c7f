"""Figures of what moves a predictor: SHAP beeswarm, bars and dependence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from predictor.report.labels import plain


def beeswarm(values: np.ndarray, matrix: np.ndarray, names: Sequence[str], base: float, shown: int = 15) -> Figure:
    """Every row's SHAP value of the strongest features, coloured by the feature's own value.

    Args:
        values: (n, d) SHAP values in the target's unit. matrix: (n, d) the features. names: d. base: their base value.
    """
    import matplotlib

    matplotlib.use("Agg")  # shap draws through pyplot, which would look for a screen
    import matplotlib.pyplot as plt
    import shap

    explanation = shap.Explanation(
        values=values, base_values=np.full(len(values), base), data=matrix, feature_names=list(map(plain, names))
    )
    figure = plt.figure()
    shap.plots.beeswarm(explanation, max_display=shown, show=False, plot_size=(9, 0.35 * min(shown, len(names)) + 2))
    figure.tight_layout()
    plt.close(figure)
    return figure


def bars(values: np.ndarray, names: Sequence[str], shown: int = 15) -> Figure:
    """Mean absolute SHAP value of the strongest features."""
    strength = np.abs(values).mean(axis=0)
    order = np.argsort(strength)[-shown:]
    figure = Figure(figsize=(8, 0.3 * len(order) + 1.2))
    axes = figure.subplots()
    axes.barh(range(len(order)), strength[order], color="#1e88e5")
    axes.set_yticks(range(len(order)), [plain(names[j]) for j in order])
    axes.set_xlabel("mean |SHAP value|, in the target's unit")
    figure.tight_layout()
    return figure


def dependence(values: np.ndarray, matrix: np.ndarray, names: Sequence[str], shown: int = 6) -> Figure:
    """SHAP value against feature value for the strongest features."""
    order = np.argsort(-np.abs(values).mean(axis=0))[:shown]
    columns = min(3, len(order))
    rows = -(-len(order) // columns)
    figure = Figure(figsize=(4 * columns, 3 * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(order) :]:
        axes.set_axis_off()
    for axes, j in zip(grid.flat, order, strict=False):
        axes.scatter(matrix[:, j], values[:, j], s=12, alpha=0.6, color="#1e88e5")
        axes.axhline(0.0, color="grey", linewidth=0.8)
        axes.set_title(plain(names[j]), fontsize=9)
        axes.set_ylabel("SHAP value", fontsize=8)
    figure.tight_layout()
    return figure
