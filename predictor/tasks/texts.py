"""What tasks whose answers are texts report: likeness to a reference, and how likely the model finds the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from predictor.errors import DataError
from predictor.metrics import bleu, chrf, perplexity, rouge
from predictor.schema.targets import Target
from predictor.tasks.base import TaskScores

TARGETS: Final = (
    Target(
        "perplexity",
        "how many tokens the model wavers between, on average, at each token of the right answers; depends on the "
        "base model's tokenizer",
        unit="choices per token",
        low=1.0,
        higher_is_better=False,
        error="bootstrap",
    ),
    Target(
        "bits_per_byte",
        "how many bits the model needs for each byte of the right answers; compares base models too",
        unit="bits per byte",
        low=0.0,
        higher_is_better=False,
        error="bootstrap",
    ),
    Target(
        "bleu",
        "how many runs of one to four words of the answers occur in the right ones, over all answers together",
        unit="points",
        low=0.0,
        high=100.0,
        error="bootstrap",
    ),
    Target(
        "chrf",
        "the same of characters, what is missing counting twice as much as what is too much",
        unit="points",
        low=0.0,
        high=100.0,
        error="bootstrap",
    ),
    Target(
        "rouge_1",
        "how much the words of an answer overlap with those of the right one",
        low=0.0,
        high=1.0,
        error="mean",
    ),
    Target("rouge_2", "the same of pairs of words", low=0.0, high=1.0, error="mean"),
    Target(
        "rouge_l", "the same of the longest sequence of words that both have in order", low=0.0, high=1.0, error="mean"
    ),
    Target(
        "length_ratio",
        "tokens of the answers for each token of the right ones: 1 is best, neither more nor less is better",
        unit="ratio",
        low=0.0,
        error="bootstrap",
    ),
)
FROM_REFERENCES: Final = ("perplexity", "bits_per_byte")
"""Those that :func:`score_losses` gives; the others come from answers."""

Statistic = Callable[[np.ndarray], float]


def score_texts(answers: Sequence[str], references: Sequence[Sequence[str]]) -> TaskScores:
    """BLEU, chrF, ROUGE and the ratio of lengths of answers against the accepted ones, in the same order.

    Raises:
        DataError: nothing to score, unequal numbers, or a question without an accepted answer.
    """
    _check(len(answers), references)
    words, characters = bleu.statistics(answers, references), chrf.statistics(answers, references)
    each = [rouge.rouge(*pair) for pair in zip(answers, references, strict=True)]
    rows = {name: [row[name] for row in each] for name in rouge.NAMES}
    resample = {
        "bleu": _of_sum(words, bleu.score_of),
        "chrf": _of_sum(characters, chrf.score_of),
        "length_ratio": _of_sum(words, bleu.length_ratio_of),
    }
    means = {name: sum(scores) / len(scores) for name, scores in rows.items()}
    return TaskScores(
        values=_values(resample, len(answers)) | means,
        rows=rows,
        resample=resample,
        signatures={"bleu": bleu.signature(references), "chrf": chrf.signature(references)},
    )


def score_losses(losses: Sequence[np.ndarray], texts: Sequence[str]) -> TaskScores:
    """Perplexity and bits per byte of right answers, over all of them together; of each the bits per byte besides.

    Args:
        losses: of each text's tokens, the end of the turn included, in nats.
        texts: what the assistant says in each row.

    Raises:
        DataError: nothing to score, or unequal numbers.
    """
    _check(len(losses), [[text] for text in texts])
    found = perplexity.statistics(losses, texts)
    resample = {
        "perplexity": _of_sum(found, perplexity.perplexity_of),
        "bits_per_byte": _of_sum(found, perplexity.bits_per_byte_of),
    }
    own = [perplexity.bits_per_byte_of(row) for row in found]
    return TaskScores(values=_values(resample, len(texts)), rows={"bits_per_byte": own}, resample=resample)


def _of_sum(statistics: np.ndarray, value: Statistic) -> Statistic:
    """From positions of questions, (n,), to the value of the sum of their statistics."""
    return lambda sample: value(statistics[sample].sum(axis=0))


def _values(resample: Mapping[str, Statistic], n: int) -> dict[str, float]:
    return {name: statistic(np.arange(n)) for name, statistic in resample.items()}


def _check(found: int, references: Sequence[Sequence[str]]) -> None:
    if not references or found != len(references):
        raise DataError(
            f"{found} answers cannot be scored against {len(references)} questions",
            rule="one answer for each question, and at least one question",
        )
    for place, accepted in enumerate(references):
        if not accepted:
            raise DataError(
                f"question {place + 1} of the evaluation has no accepted answer",
                rule="every scored question has at least one reference answer",
            )
