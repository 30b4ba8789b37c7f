"""ROUGE-1, ROUGE-2 and ROUGE-L as `rouge-score` computes them, as a pure function and as a local `evaluate` module.

ROUGE (Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries") is the F-score of the words, pairs of words,
or longest common subsequence of words that a text shares with a reference. Words are those of the original script:
lower case, runs of a–z and 0–9, no stemming.

Of a text in another script that rule leaves nothing. Where a reference holds Chinese or Japanese, each of their
characters is therefore a word of its own, as is usual there, and other runs of letters and digits are words.

Scores are fractions in [0, 1], as every score of this project that has such a scale.

`evaluate` copies this one file elsewhere and imports the copy, so the file imports nothing of this project.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer

NAMES = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
"""Our names → those of `rouge-score`."""
_CJK_RANGES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CJK = re.compile(f"[{_CJK_RANGES}]")
_CJK_OR_WORD = re.compile(f"[{_CJK_RANGES}]|[^\\W_{_CJK_RANGES}]+")


def rouge(prediction: str, references: Sequence[str]) -> dict[str, float]:
    """F-scores in [0, 1] by our names; each against the reference that gives the highest.

    Raises:
        ValueError: there is no reference.
    """
    if isinstance(references, str) or not references:
        raise ValueError("a prediction needs a sequence of references, at least one")
    by_character = any(_CJK.search(text) for text in references)
    found = _scorer(by_character).score_multi(list(references), prediction)
    return {ours: float(found[theirs].fmeasure) for ours, theirs in NAMES.items()}


def words_and_characters(text: str) -> list[str]:
    """Words in lower case; each Chinese or Japanese character is one."""
    return _CJK_OR_WORD.findall(text.lower())


class _ByCharacter:
    """A tokenizer as `rouge-score` takes it."""

    def tokenize(self, text: str) -> list[str]:
        """The words of a text."""
        return words_and_characters(text)


@cache
def _scorer(by_character: bool) -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(NAMES.values()), tokenizer=_ByCharacter() if by_character else None)


if __name__.partition(".")[0] == "evaluate_modules":
    import datasets
    import evaluate

    class Rouge(evaluate.Metric):  # type: ignore[misc]
        """`rouge-score` with the interface of the hub's `rouge`: means over the texts, fractions in [0, 1]."""

        def _info(self) -> evaluate.MetricInfo:
            text = datasets.Value("string")
            return evaluate.MetricInfo(
                description="ROUGE-1, ROUGE-2, ROUGE-L: mean F-scores, fractions; Chinese and Japanese by character.",
                citation="Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries",
                inputs_description="predictions: texts; references: a list of accepted texts for each",
                features=datasets.Features({"predictions": text, "references": datasets.List(text)}),
                reference_urls=["https://github.com/google-research/google-research/tree/master/rouge"],
            )

        def _compute(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
            rows = [rouge(said, accepted) for said, accepted in zip(predictions, references, strict=True)]
            return {theirs: sum(row[ours] for row in rows) / len(rows) for ours, theirs in NAMES.items()}
