"""Figures of a dataset report, as SVG text to be put into a page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

_BLUE, _GREY, _RED = "#2f6f9f", "#666666", "#b5443a"
_MOST_BARS = 20


def histogram(distribution: Mapping[str, Any], unit: str, limit: int | None = None) -> str:
    """Bars of a `distribution`, with a line at `limit` where one is given."""
    figure, axes = _axes(3.2)
    edges, counts = distribution["edges"], distribution["counts"]
    widths = [right - left for left, right in pairwise(edges)]
    axes.bar(edges[:-1], counts, width=widths, align="edge", color=_BLUE, edgecolor="white", linewidth=0.5)
    if limit and limit <= edges[-1] * 1.5:
        axes.axvline(limit, color=_RED, linewidth=1.2)
        axes.annotate(f"max_length {limit}", (limit, 1.01), xycoords=("data", "axes fraction"), color=_RED, ha="center")
    axes.set_xlabel(unit)
    axes.set_ylabel("rows")
    return _svg(figure)


def bars(counts: Mapping[str, int], axis: str) -> str:
    """One bar a name, the largest on top; what goes beyond 20 names is summed up."""
    shown = dict(list(counts.items())[:_MOST_BARS])
    rest = sum(counts.values()) - sum(shown.values())
    if rest:
        shown[f"{len(counts) - _MOST_BARS} others"] = rest
    figure, axes = _axes(0.8 + 0.3 * len(shown))
    names = [_plain(name) for name in shown][::-1]
    drawn = axes.barh(range(len(names)), list(shown.values())[::-1], color=_BLUE)
    axes.set_yticks(range(len(names)), names)
    axes.bar_label(drawn, padding=3, color=_GREY)
    axes.margins(x=0.12)
    axes.set_xlabel(axis)
    return _svg(figure)


def _plain(name: str) -> str:
    """A name that the figure cannot take for a formula, short enough for an axis."""
    name = name.replace("$", r"\$").replace("\n", " ")
    return name if len(name) <= 32 else name[:31] + "…"


def _axes(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Any) -> str:
    from matplotlib import rc_context

    buffer = io.StringIO()
    # Text stays text: the page's own fonts have the letters of every script that a label may be in.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "dataset report"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]
