"""BLEU and the ratio of lengths as sacreBLEU computes them, as pure functions and as a local `evaluate` module.

BLEU (Papineni et al. 2002, "BLEU: a Method for Automatic Evaluation of Machine Translation") is one number for a
corpus: n-grams of 1 to 4 words that occur in a reference, and a penalty for what is too short. Two BLEU scores compare
only under one signature (Post 2018, "A Call for Clarity in Reporting BLEU Scores"), so it is given beside the score.

The scale is sacreBLEU's: points from 0 to 100.

`evaluate` copies this one file elsewhere and imports the copy, so the file imports nothing of this project.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sacrebleu.metrics import BLEU

_ORDERS = 4
_KANA = re.compile("[\u3040-\u30ff]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")


def tokenizer_for(references: Sequence[Sequence[str]]) -> str:
    """The tokenizer of sacreBLEU for the language of the references.

    `13a`, its default, where none holds Chinese or Japanese; `char` where half of the texts or more are Japanese, which
    its own tokenizer of words would need MeCab for; else `zh`, which divides Chinese by character and the rest as
    `13a` does.
    """
    texts = [text for accepted in references for text in accepted]
    japanese = sum(_KANA.search(text) is not None for text in texts)
    if japanese and 2 * japanese >= len(texts):
        return "char"
    return "zh" if japanese or any(_HAN.search(text) for text in texts) else "13a"


def statistics(predictions: Sequence[str], references: Sequence[Sequence[str]], tokenize: str = "") -> np.ndarray:
    """What BLEU needs to know of each text; the sum over the texts of any corpus gives its BLEU by :func:`score_of`.

    Args:
        references: the accepted texts of each prediction, at least one; their numbers may differ.
        tokenize: by sacreBLEU's name; empty chooses by :func:`tokenizer_for`.

    Returns:
        whole numbers of shape (texts, 10): n-grams of order 1 to 4 that match, those that there are, tokens of the
        prediction, tokens of the reference that is nearest in length.

    Raises:
        ValueError: unequal numbers of predictions and references, none at all, or one without a reference.
    """
    _check(predictions, references)
    metric = _metric(tokenize or tokenizer_for(references), sentence=True)
    rows = []
    for prediction, accepted in zip(predictions, references, strict=True):
        found = metric.sentence_score(prediction, list(accepted))
        rows.append([*found.counts, *found.totals, found.sys_len, found.ref_len])
    return np.array(rows, dtype=np.int64)


def score_of(summed: np.ndarray) -> float:
    """BLEU in [0, 100] of a corpus from the sum of its :func:`statistics`, shape (10,)."""
    from sacrebleu.metrics import BLEU

    numbers = [int(number) for number in summed]
    matched, possible, (said, expected) = numbers[:_ORDERS], numbers[_ORDERS : 2 * _ORDERS], numbers[2 * _ORDERS :]
    return min(100.0, float(BLEU.compute_bleu(matched, possible, said, expected, smooth_method="exp").score))


def length_ratio_of(summed: np.ndarray) -> float:
    """Tokens said / tokens expected of a corpus from the sum of its :func:`statistics`; NaN where none is expected."""
    said, expected = float(summed[-2]), float(summed[-1])
    return said / expected if expected else float("nan")


def bleu(predictions: Sequence[str], references: Sequence[Sequence[str]], tokenize: str = "") -> float:
    """BLEU of a corpus, in [0, 100]. Arguments and errors as of :func:`statistics`."""
    return score_of(statistics(predictions, references, tokenize).sum(axis=0))


def signature(references: Sequence[Sequence[str]], tokenize: str = "") -> str:
    """The signature of sacreBLEU: everything beside the texts that the number depends on, its version included."""
    metric = _metric(tokenize or tokenizer_for(references), sentence=False)
    metric.corpus_score(["" for _ in references], _streams(references))
    return str(metric.get_signature())


def _streams(references: Sequence[Sequence[str]]) -> Any:  # it takes None for a text that has fewer, unlike its type
    """The references as sacreBLEU takes those of a corpus: the first of each text, the second of each, and so on."""
    most = max(map(len, references))
    return [[accepted[i] if i < len(accepted) else None for accepted in references] for i in range(most)]


def _metric(tokenize: str, *, sentence: bool) -> BLEU:
    from sacrebleu.metrics import BLEU

    return BLEU(tokenize=tokenize, effective_order=sentence, force=True)


def _check(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not predictions or len(predictions) != len(references):
        raise ValueError(f"{len(predictions)} predictions for {len(references)} references; as many, and at least one")
    for accepted in references:
        if isinstance(accepted, str) or not accepted:
            raise ValueError("each prediction needs a sequence of references, at least one")


if __name__.partition(".")[0] == "evaluate_modules":
    import datasets
    import evaluate

    class Bleu(evaluate.Metric):  # type: ignore[misc]
        """sacreBLEU's BLEU with the interface of the hub's `sacrebleu`: points from 0 to 100."""

        def _info(self) -> evaluate.MetricInfo:
            text = datasets.Value("string")
            return evaluate.MetricInfo(
                description="BLEU of a corpus as sacreBLEU computes it, in points, with its signature.",
                citation="Post 2018, A Call for Clarity in Reporting BLEU Scores",
                inputs_description="predictions: texts; references: a list of accepted texts for each",
                features=datasets.Features({"predictions": text, "references": datasets.List(text)}),
                reference_urls=["https://github.com/mjpost/sacrebleu"],
            )

        def _compute(self, predictions: list[str], references: list[list[str]], tokenize: str = "") -> dict[str, Any]:
            summed = statistics(predictions, references, tokenize).sum(axis=0)
            return {
                "score": score_of(summed),
                "length_ratio": length_ratio_of(summed),
                "signature": signature(references, tokenize),
            }
