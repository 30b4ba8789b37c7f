"""ROUGE-L of one text against another (Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_WORD: Final = re.compile(r"[\u3400-\u9fff\u3040-\u30ff]|[^\W_]+")
"""A word in lower case; a Chinese or Japanese character is one of its own."""


def rouge_l(text: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, in [0, 1]; 0 where one of the two has no words."""
    a, b = (_WORD.findall(each.lower()) for each in (text, reference))
    common = _longest_common(a, b)
    return 2.0 * common / (len(a) + len(b)) if common else 0.0


def _longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    row = [0] * (len(b) + 1)
    for word in a:
        before = 0
        for at, other in enumerate(b, start=1):
            above = row[at]
            row[at] = before + 1 if word == other else max(row[at], row[at - 1])
            before = above
    return row[-1]
