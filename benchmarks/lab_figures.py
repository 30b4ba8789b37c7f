"""The figures and tables of docs/lab.md: `python -m benchmarks.lab_figures docs/lab/finetunes.jsonl docs/lab`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

from predictor.lab import FAMILIES, base_model_path
from predictor.lab.lessons import LADDER


def curve(folder: Path) -> None:
    """The value accuracy and the level of the ladder over pretraining."""
    points = json.loads((base_model_path() / "curve.json").read_text())
    steps = [point["step"] for point in points]
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, height_ratios=(2, 1))
    upper.plot(steps, [point["value_accuracy"] for point in points], color="tab:blue")
    upper.set_ylabel("value tokens right\n(running mean at the level)")
    upper.set_ylim(0, 1)
    lower.step(steps, [point["level"] for point in points], color="tab:orange", where="post")
    lower.set_yticks(range(len(LADDER)), [level.name for level in LADDER])
    lower.set_ylabel("people × facts")
    lower.set_xlabel("optimizer step")
    for axis in (upper, lower):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(folder / "pretraining.png", dpi=100)


def families(rows: list[dict[str, Any]], folder: Path) -> list[tuple[str, float, list[dict[str, Any]]]]:
    """One panel a family; returns (family, Spearman's ρ of the dial with exact match, rows)."""
    grouped = {name: [r for r in rows if r["part"] == "families" and r["family"] == name] for name, _ in FAMILIES}
    grouped = {name: sorted(found, key=lambda r: r["dial"]) for name, found in grouped.items() if len(found) > 1}
    columns = 4
    figure, axes = plt.subplots(-(-len(grouped) // columns), columns, figsize=(13, 11), sharey=True)
    result = []
    for axis, (name, found) in zip(axes.flat, grouped.items(), strict=False):
        dials = [row["dial"] for row in found]
        scores = np.array([row["exact_match"] for row in found])
        errors = np.sqrt(scores * (1 - scores) / [row["n"] for row in found])
        rho = float(spearmanr(dials, scores).statistic)
        result.append((name, rho, found))
        axis.errorbar(dials, scores, yerr=1.96 * errors, marker="o", capsize=3)
        if name == "size":
            axis.set_xscale("log", base=2)
        axis.set_title(f"{name}  (ρ = {rho:.2f})", fontsize=10)
        axis.set_xlabel(FAMILIES.get(name).dial, fontsize=7)
        axis.set_ylim(-0.03, 1)
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(grouped) :]:
        axis.set_visible(False)
    figure.supylabel("score/exact_match")
    figure.tight_layout()
    figure.savefig(folder / "families.png", dpi=90)
    return result


def noise(rows: list[dict[str, Any]], folder: Path) -> list[tuple[str, list[float]]]:
    """The scores of each configuration over its seeds."""
    grouped: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["part"] == "noise":
            grouped[f"{row['family']} {row['dial']:g}"].append(row["exact_match"])
    figure, axis = plt.subplots(figsize=(7, 3))
    for index, scores in enumerate(grouped.values()):
        axis.plot(scores, [index] * len(scores), "o", alpha=0.7, color="tab:blue")
    axis.set_yticks(range(len(grouped)), list(grouped))
    axis.set_xlabel("score/exact_match, one point a seed (data and training)")
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(folder / "seed_noise.png", dpi=100)
    return list(grouped.items())


def main(results: Path, folder: Path) -> None:
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    curve(folder)
    scores = [row["exact_match"] for row in rows]
    low, high = np.quantile(scores, (0.25, 0.75))
    print(f"{len(rows)} fine-tunes: min {min(scores):.3f}, max {max(scores):.3f}, IQR {high - low:.3f}")
    print("| family | Spearman ρ | dial → exact match |\n|---|---|---|")
    for name, rho, found in families(rows, folder):
        points = ", ".join(f"{row['dial']:g} → {row['exact_match']:.3f}" for row in found)
        print(f"| `{name}` | {rho:+.2f} | {points} |")
    print("| configuration | seeds | mean | standard deviation |\n|---|---|---|---|")
    for name, found in noise(rows, folder):
        print(f"| {name} | {len(found)} | {np.mean(found):.3f} | {np.std(found, ddof=1):.3f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
