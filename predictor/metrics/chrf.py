"""chrF as sacreBLEU computes it, as pure functions and as a local `evaluate` module.

chrF2 (Popović 2015, "chrF: character n-gram F-score for automatic MT evaluation") is the F-score of character n-grams
of order 1 to 6, recall counting twice, over a whole corpus. It needs no tokenizer, so it is the same for every script.

The scale is sacreBLEU's: points from 0 to 100.

`evaluate` copies this one file elsewhere and imports the copy, so the file imports nothing of this project.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """What chrF needs to know of each text; the sum over the texts of any corpus gives its chrF by :func:`score_of`.

    Args:
        references: the accepted texts of each prediction, at least one; their numbers may differ. The one that scores
            best counts.

    Returns:
        whole numbers of shape (texts, 18): for each order of n-grams those of the prediction, those of the reference,
        and those that match.

    Raises:
        ValueError: unequal numbers of predictions and references, none at all, or one without a reference.
    """
    from sacrebleu.metrics import CHRF

    if not predictions or len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references; as many, and at least one")
    for accepted in references:
        if isinstance(accepted, str) or not accepted:
            raise ValueError("each prediction needs a sequence of references, at least one")
    # sacreBLEU's own tests of significance go through these two methods; its public ones give finished scores only.
    found = CHRF()._extract_corpus_statistics(predictions, _streams(references))
    return np.array(found, dtype=np.int64)


def score_of(summed: np.ndarray) -> float:
    """The chrF in [0, 100] of a corpus from the sum of its :func:`statistics`, shape (18,)."""
    from sacrebleu.metrics import CHRF

    return min(100.0, float(CHRF()._compute_score_from_stats([int(number) for number in summed]).score))


def chrf(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """The chrF of a corpus, in [0, 100]. Arguments and errors as of :func:`statistics`."""
    return score_of(statistics(predictions, references).sum(axis=0))


def signature(references: Sequence[Sequence[str]]) -> str:
    """The signature of sacreBLEU: everything beside the texts that the number depends on, its version included."""
    from sacrebleu.metrics import CHRF

    metric = CHRF()
    metric.corpus_score(["" for _ in references], _streams(references))
    return str(metric.get_signature())


def _streams(references: Sequence[Sequence[str]]) -> Any:  # it takes None for a text that has fewer, unlike its type
    """The references as sacreBLEU takes those of a corpus: the first of each text, the second of each, and so on."""
    most = max(map(len, references))
    return [[accepted[i] if i < len(accepted) else None for accepted in references] for i in range(most)]


if __name__.partition(".")[0] == "evaluate_modules":
    import datasets
    import evaluate

    class Chrf(evaluate.Metric):  # type: ignore[misc]
        """sacreBLEU's chrF with the interface of the hub's `chrf`: points from 0 to 100."""

        def _info(self) -> evaluate.MetricInfo:
            text = datasets.Value("string")
            return evaluate.MetricInfo(
                description="chrF2 of a corpus as sacreBLEU computes it, in points, with its signature.",
                citation="Popović 2015, chrF: character n-gram F-score for automatic MT evaluation",
                inputs_description="predictions: texts; references: a list of accepted texts for each",
                features=datasets.Features({"predictions": text, "references": datasets.List(text)}),
                reference_urls=["https://github.com/mjpost/sacrebleu"],
            )

        def _compute(self, predictions: list[str], references: list[list[str]]) -> dict[str, Any]:
            return {"score": chrf(predictions, references), "signature": signature(references)}
