"""What the rows hold: answers, labels, languages, and traces of a generator that went wrong."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from typing import Any

from predictor.data.example import Example
from predictor.data.fingerprint import input_text, normalise, text_hash
from predictor.data.preflight.histogram import distribution
from predictor.data.preflight.languages import language_of

_MARKUP = re.compile(r'"role"\s*:\s*"|<\|[a-z_]+\|>|\[/?INST\]|<</?SYS>>|```json|"messages"\s*:\s*\[')
"""Chat markup inside a turn: a generator's raw output was taken for text, often with the answer in the question."""

FEW_ROWS = 20
"""With fewer rows the share of the commonest answer or label says nothing, and is left out."""


class Content:
    """Counts over all rows, in memory that grows with the distinct answers only."""

    def __init__(self) -> None:
        self._rows = self._empty = self._with_context = self._in_context = self._markup = self._free = 0
        self._answers: Counter[str] = Counter()
        self._shown: dict[str, str] = {}
        self._labels: Counter[str] = Counter()
        self._languages: Counter[str] = Counter()
        self._input_length, self._answer_length = array("L"), array("L")

    def add(self, example: Example) -> None:
        """Count a row in; the answer of a row with a label is its label, and no text."""
        self._rows += 1
        asked = input_text(example)
        self._input_length.append(len(asked))
        self._languages[language_of(example.context or asked)] += 1
        if example.label is not None:
            self._labels[example.label] += 1
            return
        answer = example.answer
        self._answer_length.append(len(answer))
        self._markup += bool(_MARKUP.search(asked) or _MARKUP.search(answer))
        if not answer.strip():
            self._empty += 1
            return
        self._free += 1
        key = text_hash(answer)
        self._answers[key] += 1
        self._shown.setdefault(key, answer[:80])
        if example.context and example.question:
            self._with_context += 1
            passage = normalise(example.context)
            self._in_context += any(normalise(text) in passage for text in example.answers)

    def figures(self) -> dict[str, Any]:
        """Lengths are in characters, rates are fractions; what no row has (labels, answers) is left out."""
        found: dict[str, Any] = {
            "characters": {"input": distribution(self._input_length)},
            "languages": dict(self._languages.most_common()),
        }
        if self._labels:
            (label, most), *_ = self._labels.most_common(1)
            found["labels"] = {
                "counts": dict(self._labels.most_common(50)),
                "distinct": len(self._labels),
                "commonest": label,
                "commonest_rate": most / self._rows if self._rows >= FEW_ROWS else None,
                "rarest_rate": min(self._labels.values()) / self._rows,
            }
        if len(self._answer_length):
            rows = len(self._answer_length)
            commonest = self._answers.most_common(1)
            found["characters"]["answer"] = distribution(self._answer_length)
            found["answers"] = {
                "empty": self._empty,
                "empty_rate": self._empty / rows,
                "distinct": len(self._answers),
                "commonest": self._shown[commonest[0][0]] if commonest else None,
                "commonest_rate": commonest[0][1] / self._free if self._free >= FEW_ROWS else None,
                "in_context_rate": self._in_context / self._with_context if self._with_context else None,
                "markup": self._markup,
                "markup_rate": self._markup / rows,
            }
        return found
