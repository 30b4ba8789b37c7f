"""Perplexity and bits per byte of texts, from the losses of their tokens; also a local `evaluate` module.

Perplexity has three definitions in the field, which differ where texts differ in length. Here it is exp(Σ loss / Σ
tokens) over all tokens of all texts (Jelinek et al. 1977), neither a mean of the texts' own perplexities nor exp of the
mean of their mean losses. It depends on the tokenizer; bits per byte, Σ loss / (ln 2 · Σ bytes) with the bytes of the
texts in UTF-8 (as in Gao et al. 2020, "The Pile"), does not, and so compares models of different vocabularies.

Losses are in nats. What makes them is not looked at: whether a model has read texts alone or padded in a batch must
change nothing in them.

`evaluate` copies this one file elsewhere and imports the copy, so the file imports nothing of this project.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def statistics(losses: Sequence[Sequence[float] | np.ndarray], texts: Sequence[str]) -> np.ndarray:
    """What both numbers need to know of each text; sums of it over any corpus give that corpus's numbers.

    Args:
        losses: of each text's tokens in nats, the token that ends it included where it has one.
        texts: the same ones as people read them.

    Returns:
        shape (texts, 3): sum of the losses in nats, tokens, bytes.

    Raises:
        ValueError: unequal numbers of losses and texts, none at all, or a text without a token.
    """
    if not texts or len(losses) != len(texts):
        raise ValueError(f"losses of {len(losses)} texts and {len(texts)} texts; as many, and at least one")
    if not all(len(row) for row in losses):
        raise ValueError("a text has no token")
    rows = [
        (math.fsum(row), len(row), len(text.encode("utf-8", "surrogatepass")))
        for row, text in zip(losses, texts, strict=True)
    ]
    return np.array(rows, dtype=float)


def perplexity_of(summed: np.ndarray) -> float:
    """exp(Σ loss / Σ tokens), at least 1, from the sum of :func:`statistics`; infinite beyond the range of a double."""
    mean = float(summed[0]) / float(summed[1])
    return math.exp(mean) if mean < 709.0 else math.inf if mean == mean else math.nan


def bits_per_byte_of(summed: np.ndarray) -> float:
    """Σ loss / (ln 2 · Σ bytes) from the sum of :func:`statistics`; NaN of no bytes."""
    return float(summed[0]) / (math.log(2.0) * float(summed[2])) if summed[2] else math.nan


def perplexity(losses: Sequence[Sequence[float] | np.ndarray]) -> float:
    """exp(Σ loss / Σ tokens) over texts of whose tokens these are the losses in nats."""
    return perplexity_of(statistics(losses, [""] * len(losses)).sum(axis=0))


def bits_per_byte(losses: Sequence[Sequence[float] | np.ndarray], texts: Sequence[str]) -> float:
    """Σ loss / (ln 2 · Σ bytes). Arguments and errors as of :func:`statistics`."""
    return bits_per_byte_of(statistics(losses, texts).sum(axis=0))


if __name__.partition(".")[0] == "evaluate_modules":
    import datasets
    import evaluate

    class Perplexity(evaluate.Metric):  # type: ignore[misc]
        """From losses that a model has given: it loads no model, unlike the hub's `perplexity`."""

        def _info(self) -> evaluate.MetricInfo:
            text, losses = datasets.Value("string"), datasets.List(datasets.Value("float64"))
            return evaluate.MetricInfo(
                description="exp(sum of losses / sum of tokens), and bits per byte of UTF-8.",
                citation="Jelinek et al. 1977, Perplexity, a measure of the difficulty of speech recognition tasks",
                inputs_description="predictions: the losses of each text's tokens in nats; references: the texts",
                features=datasets.Features({"predictions": losses, "references": text}),
            )

        def _compute(self, predictions: list[list[float]], references: list[str]) -> dict[str, float]:
            summed = statistics(predictions, references).sum(axis=0)
            return {"perplexity": perplexity_of(summed), "bits_per_byte": bits_per_byte_of(summed)}
