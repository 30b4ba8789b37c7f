"""Scores after each stage as a figure, the plan's order beside the same rows in none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from predictor.report.labels import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("tab:blue", "tab:orange", "tab:green")


def course_figure(
    panels: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], stages: Sequence[str], words: str
) -> Figure:
    """A panel for each score: thin lines are seeds, thick ones their mean.

    Args:
        panels: score → kind of chain → for each seed its scores after the stages.
        words: the verdict, as title.
    """
    from matplotlib.figure import Figure

    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    places = range(1, len(stages) + 1)
    for panel, (name, of_kind) in zip(axes, panels.items(), strict=False):
        for colour, (kind, curves) in zip(_COLOURS, of_kind.items(), strict=False):
            for curve in curves:
                panel.plot(places, curve, color=colour, lw=0.8, alpha=0.5)
            panel.plot(places, np.mean(np.asarray(curves, dtype=float), axis=0), "o-", color=colour, lw=2, label=kind)
        panel.set_title(readable(name), fontsize=9)
        panel.set_xticks(list(places), [readable(stage) for stage in stages], fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    for panel in axes[len(panels) :]:
        panel.set_visible(False)
    figure.suptitle(words, fontsize=10)
    return figure
