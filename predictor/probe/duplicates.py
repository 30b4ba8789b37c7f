"""Static features: rows that say the same thing twice, nearly twice, or contradict each other."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np

from predictor.probe.feature import feature
from predictor.probe.texts import Texts

_PRIME = np.uint64((1 << 31) - 1)
_BANDS, _BAND_ROWS = 16, 4
NEAR = 0.8
"""Jaccard similarity of word bigrams from which two rows count as near-duplicates."""


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of examples that repeat an earlier one word for word",
    source="Lee et al. 2022, Deduplicating Training Data Makes Language Models Better",
)
def duplicate_rate(texts: Texts) -> float:
    """Over all rows; prompt and answer both equal without regard to case and white space."""
    return 1.0 - texts.distinct_rows / texts.size


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of examples whose prompt was already asked",
    source="Lee et al. 2022, Deduplicating Training Data Makes Language Models Better",
)
def duplicate_prompt_rate(texts: Texts) -> float:
    """Over all rows, without regard to case and white space."""
    return 1.0 - texts.distinct_prompts / texts.size


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of examples whose prompt occurs with different answers",
    source="inconsistent labels, Northcutt et al. 2021, Confident Learning",
)
def conflicting_answer_rate(texts: Texts) -> float:
    return texts.conflicting_rows / texts.size


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of examples whose question and answer nearly repeat an earlier one",
    source="MinHash, Broder 1997; Lee et al. 2022",
)
def near_duplicate_rate(texts: Texts) -> float:
    """Rows whose question and answer are `NEAR` or more alike, by estimated Jaccard similarity, to an earlier row.

    The passage is left out: questions about one passage would all look alike.
    """
    rows = [[*question, *answer] for question, answer in zip(texts.question_tokens, texts.answer_tokens, strict=True)]
    signatures = np.stack([_signature(row) for row in rows])
    return float(np.mean(_near_an_earlier_row(signatures)))


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of examples that ask about a passage already used",
    source="definition of this project",
    nan="no row has a context",
)
def context_reuse_rate(texts: Texts) -> float:
    contexts = [context for context in texts.contexts if context is not None]
    return 1.0 - len(set(contexts)) / len(contexts) if contexts else math.nan


@feature(
    tier="static",
    unit="fraction",
    meaning="the share of examples that have the single most frequent answer",
    source="majority-class rate",
)
def top_answer_rate(texts: Texts) -> float:
    counts = Counter(" ".join(row) for row in texts.answer_tokens)
    return max(counts.values()) / len(texts.answers)


@cache
def _permutations() -> tuple[np.ndarray, np.ndarray]:
    """Multipliers and offsets of the universal hash functions, shape (bands × rows of a band,)."""
    rng = np.random.default_rng(0)
    count = _BANDS * _BAND_ROWS
    return rng.integers(1, int(_PRIME), count, dtype=np.uint64), rng.integers(0, int(_PRIME), count, dtype=np.uint64)


def _signature(row: Sequence[str]) -> np.ndarray:
    """MinHash of a row's word bigrams (of its words, if fewer than two), shape (bands × rows of a band,)."""
    shingles = {" ".join(pair) for pair in pairwise(row)} or set(row) or {""}
    hashes = np.array([zlib.crc32(shingle.encode()) for shingle in shingles], dtype=np.uint64) % _PRIME
    multipliers, offsets = _permutations()
    return ((hashes[:, None] * multipliers + offsets) % _PRIME).min(axis=0)


def _near_an_earlier_row(signatures: np.ndarray) -> np.ndarray:
    """For each row, whether a row before it has at least `NEAR` of its signature; shape (rows,).

    Rows are compared with the first row of each bucket of a band (locality-sensitive hashing), so the work grows with
    the number of rows and not with its square. 16 bands of 4 find a pair at similarity 0.8 with probability 0.9998.
    """
    near = np.zeros(len(signatures), dtype=bool)
    for band in range(_BANDS):
        first_in_bucket: dict[bytes, int] = {}
        block = np.ascontiguousarray(signatures[:, band * _BAND_ROWS : (band + 1) * _BAND_ROWS])
        for index, key in enumerate(block):
            first = first_in_bucket.setdefault(key.tobytes(), index)
            if first != index and not near[index]:
                near[index] = np.mean(signatures[first] == signatures[index]) >= NEAR
    return near
