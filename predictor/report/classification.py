"""What a classifier got right, class by class: a figure, a table in JSON and a page of text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.metrics.classification import by_class, codes, confusion, standard_errors

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_NUMBERS = 20
"""Classes up to which the figure writes the numbers into its fields."""
_NAMES = ("precision", "recall", "f1")


def write_class_report(
    folder: Path, labels: Sequence[str], truth: Sequence[str], answers: Sequence[str], metrics: Mapping[str, float]
) -> None:
    """Write `test_results.json`, `test_summary.txt` and `confusion_matrix.png` into a folder.

    Args:
        labels: the classes in their order. truth, answers: class and predicted class of each scored row.
        metrics: what the run reports under `score/`.
    """
    results = class_results(labels, truth, answers)
    (folder / "test_results.json").write_text(
        json.dumps({"scores": dict(metrics), **results}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    (folder / "test_summary.txt").write_text(class_summary(results, metrics), encoding="utf-8")
    figure = confusion_figure(labels, np.array(results["confusion_matrix"]))
    figure.savefig(folder / "confusion_matrix.png", dpi=110)


def class_results(labels: Sequence[str], truth: Sequence[str], answers: Sequence[str]) -> dict[str, Any]:
    """Precision, recall and F1 of each class with standard errors, its rows, and the confusion matrix, as JSON values.

    The matrix has a row for each class and a column for each predicted one; the last column counts answers that name
    none.
    """
    right, said = codes(truth, labels), codes(answers, labels)
    matrix = confusion(right, said, len(labels))
    table, errors = by_class(matrix), standard_errors(right, said, len(labels))
    classes = {
        label: {
            **{name: float(table[place, column]) for column, name in enumerate(_NAMES)},
            **{f"{name}_se": _finite(errors[place, column]) for column, name in enumerate(_NAMES)},
            "rows": int(table[place, 3]),
        }
        for place, label in enumerate(labels)
    }
    return {"classes": classes, "labels": list(labels), "confusion_matrix": matrix.tolist()}


def class_summary(results: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    """The results as a page of text."""
    lines = [f"{metrics['n']:.0f} rows scored", ""]
    for name in ("accuracy", "macro_f1"):
        lines.append(f"{name:<22}{metrics[name]:.4f} ± {metrics.get(f'{name}_se', float('nan')):.4f}")
    lines += ["", "beside it, from the same rows:"]
    for name in ("majority_accuracy", "bag_of_words_accuracy", "bag_of_words_macro_f1"):
        if name in metrics:
            lines.append(f"{name:<22}{metrics[name]:.4f}")
    width = max(12, *(len(label) for label in results["labels"])) + 2
    lines += ["", f"{'class':<{width}}{'precision':>18}{'recall':>18}{'f1':>18}{'rows':>8}"]
    for label, found in results["classes"].items():
        cells = "".join(f"{_with_error(found, name):>18}" for name in _NAMES)
        lines.append(f"{label:<{width}}{cells}{found['rows']:>8}")
    return "\n".join(lines) + "\n"


def confusion_figure(labels: Sequence[str], matrix: np.ndarray) -> Figure:
    """The confusion matrix, coloured by the share of a class's rows; a column more where answers name no class."""
    from matplotlib.figure import Figure

    shown = matrix if matrix[:, -1].any() else matrix[:, :-1]
    columns = [*labels, "(none)"][: shown.shape[1]]
    size = min(12.0, 3.0 + 0.45 * len(labels))
    figure = Figure(figsize=(size + 1.0, size), layout="constrained")
    axes = figure.subplots()
    rows = shown.sum(axis=1, keepdims=True)
    shares = np.divide(shown, rows, out=np.zeros(shown.shape), where=rows > 0)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class")
    if len(labels) <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(shown):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, label="share of the class's rows", shrink=0.8)
    return figure


def _with_error(found: Mapping[str, Any], name: str) -> str:
    error = found[f"{name}_se"]
    return f"{found[name]:.3f}" + ("" if error is None else f" ± {error:.3f}")


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
