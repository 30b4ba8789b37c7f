"""Given scores and said ones as figures: scatter, confusion by class, correlations of dimensions side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.report.labels import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def scoring_figures(account: Mapping[str, Any]) -> Iterator[tuple[str, Figure]]:
    """Name and figure, of what the scoring task tells of an evaluation.

    Of several tasks that score, each has its own figures.
    """
    for task, told in account.get("tasks", {}).items():
        for name, figure in scoring_figures(told):
            yield f"{task}_{name}", figure
    if "dimensions" in account and "edges" in account:
        yield "scores", _scatter(account)
        yield "confusion", _confusion(account)
    if len(account.get("consistency", {}).get("names", ())) > 1:
        yield "consistency", _matrices(account["consistency"])


def _scatter(account: Mapping[str, Any]) -> Figure:
    figure, panels = _panels(account)
    bounds = [account["low"], account["high"]]
    for panel, (name, told) in zip(panels, account["dimensions"].items(), strict=False):
        panel.plot(bounds, bounds, color="0.7", lw=0.8)
        for kind, colour, mark in (("greedy", "tab:blue", "o"), ("expected", "tab:orange", "x")):
            pairs = [(g, s) for g, s in zip(told["given"], told[kind], strict=True) if s is not None]
            if pairs:
                panel.plot(*zip(*pairs, strict=True), mark, color=colour, ms=4, alpha=0.6, label=kind)
        missing = sum(each is None for each in told["greedy"])
        panel.set_title(f"{readable(name)}, {missing} of {len(told['greedy'])} not read", fontsize=9)
        panel.set_xlabel("given")
        panel.set_ylabel("said")
        panel.legend(frameon=False, fontsize=8)
    return figure


def _confusion(account: Mapping[str, Any]) -> Figure:
    figure, panels = _panels(account)
    edges = np.asarray(account["edges"], dtype=float)
    for panel, (name, told) in zip(panels, account["dimensions"].items(), strict=False):
        counts = np.zeros((len(edges) + 1, len(edges) + 2), dtype=int)
        for given, said in zip(told["given"], told["greedy"], strict=True):
            column = len(edges) + 1 if said is None else np.searchsorted(edges, said, side="right")
            counts[np.searchsorted(edges, given, side="right"), column] += 1
        panel.imshow(counts, cmap="Blues", aspect="auto")
        for (row, column), count in np.ndenumerate(counts):
            panel.text(column, row, str(count), ha="center", va="center", fontsize=7)
        panel.set_title(f"{readable(name)}; last column: not read", fontsize=9)
        panel.set_xlabel("class said")
        panel.set_ylabel("class given")
    return figure


def _matrices(told: Mapping[str, Any]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 4.0), layout="constrained")
    names = [readable(name) for name in told["names"]]
    for panel, kind in zip(figure.subplots(1, 2), ("given", "said"), strict=True):
        matrix = np.array([[np.nan if each is None else each for each in row] for row in told[kind]], dtype=float)
        panel.imshow(matrix, cmap="RdBu", vmin=-1, vmax=1)
        for (row, column), value in np.ndenumerate(matrix):
            panel.text(column, row, "-" if np.isnan(value) else f"{value:.2f}", ha="center", va="center", fontsize=8)
        panel.set_xticks(range(len(names)), names, rotation=30, fontsize=8)
        panel.set_yticks(range(len(names)), names, fontsize=8)
        panel.set_title("by people" if kind == "given" else f"by the model: {told['verdict']}", fontsize=9)
    return figure


def _panels(account: Mapping[str, Any]) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    count = len(account["dimensions"])
    columns = min(4, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(3.6 * columns, 3.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels
