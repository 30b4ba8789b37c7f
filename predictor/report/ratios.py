"""A score against numbers of rows as a figure: measured, the law through it, and what it says of more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Interval = Callable[[float], tuple[float, float]]


def ratios_figure(
    columns: Sequence[Sequence[float]],
    name: str,
    law: tuple[Callable[[float], float], Interval] | None,
    enough: int,
) -> Figure:
    """The curve.

    Args:
        columns: rows, scores, their errors, and what the registered predictor said (NaN where it was not asked), one
            entry for each share.
        law: value and interval at a number of rows. enough: rows of the smallest share that does.
    """
    from matplotlib.figure import Figure

    rows, scores, errors, predicted = columns
    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.errorbar(rows, scores, yerr=np.nan_to_num(errors), fmt="o", color="tab:blue", capsize=3, label="measured")
    if np.isfinite(predicted).any():
        axes.plot(rows, predicted, "x", color="tab:green", label="predicted")
    if law is not None:
        value, interval = law
        grid = np.geomspace(min(rows), 2 * max(rows), 60)
        low, high = np.array([interval(float(n)) for n in grid]).T
        axes.plot(grid, [value(float(n)) for n in grid], color="tab:orange", label="power law")
        axes.fill_between(grid, low, high, color="tab:orange", alpha=0.15, lw=0, label="90 % interval")
    axes.axvline(enough, color="0.5", lw=0.8, ls=":", label="within one error of the best")
    axes.set_xscale("log")
    axes.set_xlabel("rows")
    axes.set_ylabel(name)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
