"""Exact match and F1 as SQuAD v1.1 scores them, as pure functions and as a local `evaluate` module.

The rules are those of the official v1.1 evaluation (Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine
Comprehension of Text", section 6.1): case, ASCII punctuation, English articles and runs of white space do not count,
and a prediction is scored against its nearest reference.

Two scales meet here. The functions of this module return fractions in [0, 1], as every score of this project does.
`evaluate.load("predictor/metrics/squad.py").compute(predictions=..., references=...)` keeps the interface of the hub's
`squad`, which is in percent.

`evaluate` copies this one file elsewhere and imports the copy, so the file imports nothing of this project.
"""

from __future__ import annotations

import re
import string
import warnings
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_DROP_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CJK_RANGES = (
    "\u3040-\u30ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # ideographs
    "\U00020000-\U0003134f"  # rarer ideographs
)
_CJK = re.compile(f"[{_CJK_RANGES}]")
_CJK_OR_WORD = re.compile(f"[{_CJK_RANGES}]|[^\\W{_CJK_RANGES}]+")


def normalize(text: str) -> str:
    """`text` without case, ASCII punctuation, the articles a, an, the, and surplus white space."""
    text = text.lower().translate(_DROP_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", text).split())


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1.0 if the normalised prediction equals any normalised reference, otherwise 0.0.

    Two texts that both normalise to nothing are equal, so they score 1.0 (and 0.0 in :func:`f1`), as in the official
    script.

    Raises:
        ValueError: `references` is empty; SQuAD v1.1 has no unanswerable questions.
    """
    normal = normalize(prediction)
    return _best(lambda reference: float(normal == normalize(reference)), references)


def f1(prediction: str, references: Sequence[str]) -> float:
    """Harmonic mean of precision and recall over the bag of normalised words, for the nearest reference, in [0, 1].

    Words are what white space separates, in every language; see :func:`f1_cjk` for scripts written without spaces.

    Raises:
        ValueError: `references` is empty; SQuAD v1.1 has no unanswerable questions.
    """
    words = normalize(prediction).split()
    return _best(lambda reference: _overlap(words, normalize(reference).split()), references)


def f1_cjk(prediction: str, references: Sequence[str]) -> float:
    """:func:`f1` with each Chinese or Japanese character as a word of its own, in [0, 1].

    Not an official score. White space finds one "word" in a Chinese answer, so the official F1 is all or nothing there;
    counting characters gives partial credit, the usual practice for Chinese reading comprehension (Cui et al. 2019,
    CMRC 2018). Punctuation of every script is dropped; other scripts keep whole words.

    Raises:
        ValueError: `references` is empty.
    """
    tokens = _CJK_OR_WORD.findall(normalize(prediction))
    return _best(lambda reference: _overlap(tokens, _CJK_OR_WORD.findall(normalize(reference))), references)


def has_cjk(text: str) -> bool:
    """Whether `text` holds a Chinese or Japanese character, so that :func:`f1_cjk` says more than :func:`f1`."""
    return _CJK.search(text) is not None


def _overlap(predicted: Sequence[str], expected: Sequence[str]) -> float:
    shared = (Counter(predicted) & Counter(expected)).total()
    return 2.0 * shared / (len(predicted) + len(expected)) if shared else 0.0


def _best(score: Callable[[str], float], references: Sequence[str]) -> float:
    if isinstance(references, str):
        raise TypeError("references is one text; a sequence of accepted answers was expected")
    if not references:
        raise ValueError("references is empty; SQuAD v1.1 needs at least one accepted answer for each question")
    return max(score(reference) for reference in references)


if __name__.partition(".")[0] == "evaluate_modules":
    # `evaluate` looks for this class in the copy that it imports under its own package. Everybody else imports this
    # file for the functions above and is spared the seconds that `evaluate` and `datasets` take to import.
    import datasets
    import evaluate

    class Squad(evaluate.Metric):  # type: ignore[misc]
        """SQuAD v1.1 with the interface of the hub's `squad`: matches by id, scores in percent (0 to 100)."""

        def _info(self) -> evaluate.MetricInfo:
            text, number = datasets.Value("string"), datasets.Value("int32")
            answers = {"text": datasets.List(text), "answer_start": datasets.List(number)}
            return evaluate.MetricInfo(
                description="SQuAD v1.1 exact match and F1, in percent.",
                citation="Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text",
                inputs_description="predictions: id, prediction_text; references: id, answers (text, answer_start)",
                features=datasets.Features(
                    {
                        "predictions": {"id": text, "prediction_text": text},
                        "references": {"id": text, "answers": answers},
                    }
                ),
                reference_urls=["https://rajpurkar.github.io/SQuAD-explorer/"],
            )

        def _compute(self, predictions: list[dict], references: list[dict]) -> dict[str, float]:
            """Means over all references; a question without a prediction scores 0, with a warning."""
            said = {row["id"]: row["prediction_text"] for row in predictions}
            missing = [row["id"] for row in references if row["id"] not in said]
            if missing:
                warnings.warn(
                    f"{len(missing)} questions have no prediction and score 0, the first is {missing[0]!r}",
                    stacklevel=2,
                )
            answered = [(said[row["id"]], row["answers"]["text"]) for row in references if row["id"] in said]
            return {
                name: 100.0 * sum(score(*pair) for pair in answered) / len(references)
                for name, score in (("exact_match", exact_match), ("f1", f1))
            }
