"""The curves of one fine-tune as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Curve = Sequence[tuple[int, float]]
_SCORES = {
    "eval/accuracy": "tab:green",
    "eval/macro_f1": "tab:olive",
    "eval/closeness": "tab:green",
    "eval/pearson": "tab:olive",
    "eval/spearman": "tab:brown",
}
"""Curve → colour, of scores on an axis of their own."""


def learning_curve(curves: Mapping[str, Curve], probe_steps: int) -> Figure:
    """Loss, gradient norm and learning rate over the optimizer steps; the probe's share is shaded.

    Args:
        curves: points (step, value) by curve key (`train/loss`, `eval/loss`, ...).
        probe_steps: optimizer steps that the probe saw; 0 for none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 5.5), layout="constrained")
    loss, norm, rate = figure.subplots(3, 1, sharex=True, height_ratios=[3, 1, 1])
    for key, style in (("train/loss", {"lw": 1.2}), ("eval/loss", {"marker": "o", "ms": 4, "lw": 1.2})):
        if curves.get(key):
            loss.plot(*zip(*curves[key], strict=True), label=key, **style)
    # Of a head that gives scores the loss is an error of numbers, and no likelihood.
    loss.set_ylabel("squared error (share of the range)" if "eval/closeness" in curves else "loss (nats per token)")
    scores = loss.twinx() if any(curves.get(key) for key in _SCORES) else None
    for key, colour in _SCORES.items():
        if scores is not None and curves.get(key):
            scores.plot(*zip(*curves[key], strict=True), label=key, marker="s", ms=3, lw=1.0, color=colour)
            scores.set_ylabel("score")
    drawn = [*loss.get_lines(), *(scores.get_lines() if scores is not None else [])]
    loss.legend(drawn, [str(line.get_label()) for line in drawn], frameon=False)
    for axes, key, label in (
        (norm, "train/grad_norm", "gradient norm"),
        (rate, "train/learning_rate", "learning rate"),
    ):
        if curves.get(key):
            axes.plot(*zip(*curves[key], strict=True), lw=1.2, color="0.35")
        axes.set_ylabel(label)
    for axes in (loss, norm, rate):
        if probe_steps:
            axes.axvspan(0, probe_steps, color="tab:orange", alpha=0.12, lw=0)
        axes.spines[["top", "right"]].set_visible(False)
    rate.set_xlabel("optimizer step (shaded: what the probe sees)")
    return figure
