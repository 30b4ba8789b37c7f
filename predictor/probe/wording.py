"""Static features: how rich, repetitive and clean the wording is."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np

from predictor.probe.feature import feature
from predictor.probe.texts import Texts

_NO_PROMPT_TOKENS = "no prompt holds a token"
_NO_ANSWER_TOKENS = "no answer holds a token"
_TEMPLIN = "type-token ratio (Templin 1957)"
_REPETITION = "seq-rep-n of Welleck et al. 2020, Neural Text Generation with Unlikelihood Training"


@feature(
    tier="static",
    unit="fraction",
    meaning="how varied the vocabulary of the prompts is",
    source=_TEMPLIN,
    nan=_NO_PROMPT_TOKENS,
)
def prompt_type_token_ratio(texts: Texts) -> float:
    return _distinct_share(chain.from_iterable(texts.prompt_tokens))


@feature(
    tier="static",
    unit="fraction",
    meaning="how varied the vocabulary of the answers is",
    source=_TEMPLIN,
    nan=_NO_ANSWER_TOKENS,
)
def answer_type_token_ratio(texts: Texts) -> float:
    return _distinct_share(chain.from_iterable(texts.answer_tokens))


@feature(
    tier="static",
    unit="fraction",
    meaning="how varied the phrases of the prompts are across the dataset",
    source="distinct-n, Li et al. 2016, A Diversity-Promoting Objective Function for Neural Conversation Models",
    nan="no prompt holds three tokens",
)
def prompt_distinct_trigrams(texts: Texts) -> float:
    """Distinct trigrams over all trigrams of the dataset's prompts."""
    return _distinct_share(chain.from_iterable(map(_trigrams, texts.prompt_tokens)))


@feature(tier="static", unit="fraction", meaning="how much the prompts repeat themselves", source=_REPETITION)
def prompt_trigram_repetition(texts: Texts) -> float:
    """Mean over the rows of 1 − distinct trigrams / trigrams; a row under three tokens repeats nothing."""
    return float(np.mean([_repetition(row) for row in texts.prompt_tokens]))


@feature(tier="static", unit="fraction", meaning="how much the answers repeat themselves", source=_REPETITION)
def answer_trigram_repetition(texts: Texts) -> float:
    """Mean over the rows of 1 − distinct trigrams / trigrams; a row under three tokens repeats nothing."""
    return float(np.mean([_repetition(row) for row in texts.answer_tokens]))


@feature(
    tier="static",
    unit="bits",
    meaning="in how many different ways the questions begin",
    source="Shannon 1948, entropy of the first two tokens",
)
def question_opening_entropy(texts: Texts) -> float:
    """Entropy of the distribution of the questions' first two tokens; 0 when all begin alike."""
    return _entropy(Counter(tuple(row[:2]) for row in texts.question_tokens))


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of characters that are neither letters nor digits",
    source="TuneAhead (arXiv 2606.17660), static features",
    nan="no row holds a visible character",
)
def special_character_rate(texts: Texts) -> float:
    """Over all characters of prompts and answers that are not white space."""
    counts = _characters(texts)
    special = sum(count for character, count in counts.items() if not character.isalnum())
    return _ratio(special, counts.total())


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of letters from a script other than the dataset's main one",
    source="Unicode character names",
    nan="no row holds a letter",
)
def minority_script_rate(texts: Texts) -> float:
    """1 − letters of the most frequent script / letters. The script is the first word of a letter's Unicode name."""
    scripts: Counter[str] = Counter()
    for character, count in _characters(texts).items():
        if character.isalpha():
            scripts[unicodedata.name(character, "UNKNOWN").split()[0]] += count
    return 1.0 - _ratio(max(scripts.values(), default=0), scripts.total())


def _characters(texts: Texts) -> Counter[str]:
    """Counts of the visible characters."""
    counts = Counter("".join(chain(texts.prompts, texts.answers)))
    return Counter({character: count for character, count in counts.items() if not character.isspace()})


def _trigrams(row: Sequence[str]) -> Iterable[tuple[str, ...]]:
    return zip(row, row[1:], row[2:], strict=False)


def _repetition(row: Sequence[str]) -> float:
    return 1.0 - _distinct_share(_trigrams(row)) if len(row) >= 3 else 0.0


def _distinct_share(items: Iterable[object]) -> float:
    listed = list(items)
    return _ratio(len(set(listed)), len(listed))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def _entropy(counts: Counter[tuple[str, ...]]) -> float:
    shares = np.array(list(counts.values()), dtype=float) / counts.total()
    return abs(float(-(shares * np.log2(shares)).sum()))
