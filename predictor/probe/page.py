"""The page of documentation that lists every feature, made from the catalog itself."""

from __future__ import annotations

from predictor.config import TIERS
from predictor.probe.feature import FEATURES, Feature

_PRICE = {
    "static": "reading the rows and the development slice; no model",
    "embed": "a sentence encoder over at most 128 rows of each dataset",
    "forward": "forward passes of the untouched base model over at most 64 rows and the development slice, and "
    "answers to the slice",
    "train": "the first `probe_steps` optimizer steps of the very fine-tune, three forward passes and one backward "
    "pass over the development slice, and answers to it",
}


def features_page() -> str:
    """`docs/features.md`: one table for each tier, cheapest first."""
    parts = [
        "# Probe features\n",
        "Numbers known before the full fine-tune, logged as `probe/<name>`. `<headline>` is the task's headline\n"
        "score, such as `exact_match`. Fractions and cosines are not percent. Each value is finite, or NaN where it\n"
        "does not exist; the table says when. The hyperparameters Hj are logged beside them as `hp/<name>`.\n",
        "Tokens of the static tier are words without case and punctuation, and single characters in Chinese and\n"
        "Japanese; they do not depend on the base model. Tokens of the forward and train tiers are the base model's.\n"
        "Rows are sampled without a seed: the features of a dataset do not change between runs.\n",
        "The development slice holds `dev_limit` questions of the evaluation file with their answers. They share no\n"
        "passage with the scored questions, whose answers the probe does not read. What the slice costs in the\n"
        "forward and train tiers is `cost/probe_dev_s`, a part of their seconds; what its size buys is in\n"
        "[benchmarks.md](benchmarks.md).\n",
        "This page is generated from `predictor.probe.FEATURES`; a test keeps the two equal.\n",
    ]
    for tier in TIERS:
        entries = [entry for _, entry in FEATURES if entry.tier == tier]
        rows = [_row(f"`{e.name}`", e.meaning, e.unit, _nan(e), e.source) for e in entries]
        parts.append(f"## Tier `{tier}`: {len(entries)} features\n\nPrice: {_PRICE[tier]}.\n")
        parts.append(
            "\n".join([_row("feature", "what it says", "unit", "NaN when", "source"), "|---" * 5 + "|", *rows])
        )
        parts.append("")
    return "\n".join(parts)


def _nan(entry: Feature) -> str:
    there = "" if not entry.kind else f"; there are none unless the rows are {entry.kind} for classification"
    return (entry.nan or "never") + there


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
