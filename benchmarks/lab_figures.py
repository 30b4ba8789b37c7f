"""The figures and tables of docs/lab.md, from the runs of the package: `python -m benchmarks.lab_figures`."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import spearmanr

from predictor.lab import FAMILIES, base_model_path
from predictor.lab.lessons import LADDER
from predictor.lab.specification import parse
from predictor.runs import runs_path
from predictor.schema.archive import read_archive

STANDARD = {
    "learning_rate": 5e-3,
    "lora_r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.0,
    "epochs": 3.0,
    "batch_size": 16,
}
"""Hj of the families' figure."""


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


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The archived runs with the family and the dial of their datasets."""
    archive = read_archive(path)
    rows = []
    for record in archive.records:
        name = parse(record.dataset)
        hp = {key: record.hp[key] for key in STANDARD}
        size = int(name.dial) if name.family == "size" else name.size
        row = {"family": name.family, "dial": name.dial, "size": size, "data_seed": name.seed, "seed": record.seed}
        row |= {"standard": hp == STANDARD, "hp": record.hp, "dataset": record.dataset}
        rows.append(row | {key: record.scores[key] for key in ("exact_match", "n")})
    return rows


def families(rows: list[dict[str, Any]], folder: Path) -> list[tuple[str, float, list[dict[str, Any]]]]:
    """One panel a family, one line for each number of rows.

    Returns:
        (name of the line, Spearman's ρ of the dial with exact match, rows) for each line.
    """
    chosen = [row for row in rows if row["standard"] and row["data_seed"] == 1 and row["seed"] == 1]
    panels = [name for name, _ in FAMILIES if sum(row["family"] == name for row in chosen) > 1]
    columns = 4
    figure, axes = plt.subplots(-(-len(panels) // columns), columns, figsize=(13, 11), sharey=True)
    result = []
    for axis, name in zip(axes.flat, panels, strict=False):
        lines: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(chosen, key=lambda r: (r["size"], r["dial"])):
            if row["family"] == name:
                lines[0 if name == "size" else row["size"]].append(row)
        for size, found in lines.items():
            dials = [row["dial"] for row in found]
            scores = np.array([row["exact_match"] for row in found])
            errors = np.sqrt(scores * (1 - scores) / [row["n"] for row in found])
            rho = float(spearmanr(dials, scores).statistic)
            result.append((f"`{name}`, {size} rows" if size else f"`{name}`", rho, found))
            label = f"{size} rows, ρ = {rho:.2f}" if size else f"ρ = {rho:.2f}"
            axis.errorbar(dials, scores, yerr=1.96 * errors, marker="o", capsize=3, label=label)
        if name == "size":
            axis.set_xscale("log", base=2)
        axis.legend(fontsize=7, loc="lower left" if name != "size" else "lower right")
        axis.set_title(name, fontsize=10)
        axis.set_xlabel(fill(FAMILIES.get(name).dial, 44), fontsize=7)
        axis.set_ylim(-0.03, 1)
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    figure.supylabel("score/exact_match")
    figure.tight_layout()
    figure.savefig(folder / "families.png", dpi=90)
    return result


def noise(rows: list[dict[str, Any]], folder: Path) -> list[tuple[str, list[float]]]:
    """The scores of each configuration that was trained with three seeds or more."""
    grouped: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        grouped[
            f"{row['dataset'].removeprefix('lab:')}, learning rate {row['hp']['learning_rate']:g}" + _others(row)
        ].append(row["exact_match"])
    grouped = {name: found for name, found in grouped.items() if len(found) >= 3}
    figure, axis = plt.subplots(figsize=(9, 6))
    for index, scores in enumerate(grouped.values()):
        axis.plot(scores, [index] * len(scores), "o", alpha=0.7, color="tab:blue")
    axis.set_yticks(range(len(grouped)), list(grouped))
    axis.set_xlabel("score/exact_match, one point a seed")
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(folder / "seed_noise.png", dpi=100)
    return list(grouped.items())


def _others(row: dict[str, Any]) -> str:
    """The rest of Hj, so that no two configurations share a name."""
    rest = {key: row["hp"][key] for key in ("lora_r", "lora_alpha", "lora_dropout", "epochs", "batch_size")}
    return "" if all(rest[key] == STANDARD[key] for key in rest) else f" {rest}"


def main(folder: Path) -> None:
    rows = rows_of(runs_path())
    curve(folder)
    scores = [row["exact_match"] for row in rows]
    low, high = np.quantile(scores, (0.25, 0.75))
    print(f"{len(rows)} fine-tunes of {len({row['dataset'] for row in rows})} datasets: ", end="")
    print(f"min {min(scores):.3f}, max {max(scores):.3f}, IQR {high - low:.3f}")
    print("| family | Spearman ρ | dial → exact match |\n|---|---|---|")
    shown = families(rows, folder)
    for name, rho, found in shown:
        points = ", ".join(f"{row['dial']:g} → {row['exact_match']:.3f}" for row in found)
        print(f"| {name} | {rho:+.2f} | {points} |")
    alone = [row["exact_match"] for _, _, found in shown for row in found]
    low, high = np.quantile(alone, (0.25, 0.75))
    print(f"these {len(alone)} alone: min {min(alone):.3f}, max {max(alone):.3f}, IQR {high - low:.3f}")
    print("| configuration | seeds | mean | standard deviation |\n|---|---|---|---|")
    found_noise = noise(rows, folder)
    for name, values in found_noise:
        print(f"| {name} | {len(values)} | {np.mean(values):.3f} | {np.std(values, ddof=1):.3f} |")
    pooled = np.sqrt(np.mean([np.var(values, ddof=1) for _, values in found_noise]))
    print(f"pooled standard deviation between seeds: {pooled:.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/lab"))
