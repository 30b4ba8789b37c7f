"""How the answers have changed apart from being right: their length, and whether any is given at all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_REFUSALS: Final = re.compile(
    r"\b(i(?:'m| am) (?:sorry|unable|not able|afraid)|i (?:cannot|can't|can not|won't|will not) "
    r"|as an ai\b|i apologi[sz]e|i (?:do not|don't) have (?:access|enough information)"
    r"|unable to (?:help|answer|assist))"
    r"|抱歉|对不起|无法(?:回答|提供|协助)|作为(?:一个)?(?:人工智能|AI)",
    re.IGNORECASE,
)
_BEGINNING: Final = 200
"""Characters of an answer in which a refusal stands; further on the words may belong to what is told."""


@dataclass(frozen=True)
class Manner:
    """How one model answers a set of questions.

    Attributes:
        length: mean tokens of an answer. refusals, empty: shares of the answers.
    """

    length: float
    refusals: float
    empty: float


def manner(answers: Sequence[str], ids: Sequence[Sequence[int]]) -> Manner:
    """From the answers as text and as token ids; at least one."""
    return Manner(
        length=float(np.mean([len(row) for row in ids])),
        refusals=float(np.mean([refuses(answer) for answer in answers])),
        empty=float(np.mean([not answer.strip() for answer in answers])),
    )


def refuses(answer: str) -> bool:
    """Whether an answer begins by saying that none is given."""
    return bool(_REFUSALS.search(answer[:_BEGINNING].replace("\u2019", "'")))
