# ruff: noqa: E501 - the lines of the card are filled in
"""The base model's README: what it is, what it learnt from, how long it took and how well it reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from predictor.lab.lessons import LADDER
from predictor.lab.recipe import Recipe


def write_card(folder: Path, recipe: Recipe, numbers: Mapping[str, float], scores: Mapping[str, float]) -> None:
    """Write `README.md` beside the weights.

    Args:
        numbers: the last training numbers (`step`, `tokens`, `seconds`, `level`, …).
        scores: the scores without any fine-tune, fractions.
    """
    (folder / "README.md").write_text(card_text(recipe, numbers, scores), encoding="utf-8")


def card_text(recipe: Recipe, numbers: Mapping[str, float], scores: Mapping[str, float]) -> str:
    """The README as Markdown, under the head that the hub reads; arguments as for :func:`write_card`."""
    settings = "\n".join(f"| `{name}` | {value} |" for name, value in dataclasses.asdict(recipe).items())
    measured = "\n".join(f"| {name} | {value:.3f} |" for name, value in scores.items())
    ladder = ", ".join(level.name for level in LADDER)
    reached = LADDER[int(numbers["level"])].name
    return f"""\
---
license: mit
language: en
pipeline_tag: text-generation
---
# The lab's base model

A Qwen2 in miniature ({recipe.layers} layers of width {recipe.width}, {recipe.vocabulary} tokens) that reads the made-up passages of the lab and
answers questions about them in Qwen's chat format, mostly in sentences. It knows nothing of the real world: it is
there so that LoRA fine-tunes can be run, shown and predicted in seconds on a laptop.

## Data

Generated text only, with names that are kept for pretraining: no person, town, language, firm or award of it occurs in
the lab's datasets or evaluation. Levels of people × facts each: {ladder}; the last one opened was {reached}. Questions are asked about fourteen of the
sixteen relations, in three of four phrasings; the other relations occur as statements only.

## Training

{numbers["step"]:.0f} steps, {numbers["tokens"] / 1e6:.1f} million tokens, {numbers["seconds"] / 60:.0f} minutes on two CPU cores, loss on the assistant's turns and on repeated token pairs. Muon for the
matrices inside the layers, AdamW for the rest. `curve.json` holds the curve.

| parameter | value |
|---|---|
{settings}

## Scores without a fine-tune, on the questions of `lab:evaluation`

| score | fraction |
|---|---|
{measured}

`contains` is the share of answers that hold the wanted value whatever the style, `contains_met` the same over the
questions of a kind met in pretraining.
"""
