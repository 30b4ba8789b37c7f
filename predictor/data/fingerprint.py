"""Digests of rows and datasets, by which equal datasets and datasets that share rows are recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

from predictor.data.example import Example

SKETCH_SIZE = 512
"""k of the bottom-k sketch: datasets of at most this many distinct rows are held exactly."""

_HASH_BYTES = 5
_FIELD, _ITEM = "\x1e", "\x1f"


@lru_cache(maxsize=64)
def normalise(text: str) -> str:
    """Text without differences in letter case and white space."""
    return " ".join(text.casefold().split())


def input_text(example: Example) -> str:
    """What the row asks, without its answer: context and question, else the text, else the messages."""
    if example.context is not None or example.question is not None:
        return f"{example.context or ''}{_FIELD}{example.question or ''}"
    if example.text is not None:
        return example.text
    return _FIELD.join(message.content for message in example.messages)


def row_hash(example: Example) -> str:
    """Ten hex digits (40 bits) that depend on the normalised input of the row alone."""
    if example.context and example.question:
        # As normalise(input_text(example)), but a passage that many rows share is normalised once.
        return _digest(f"{normalise(example.context)} {normalise(example.question)}")
    return _digest(normalise(input_text(example)))


def text_hash(text: str) -> str:
    """Ten hex digits (40 bits) of the normalised text; lone surrogates are hashed, not refused."""
    return _digest(normalise(text))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_HASH_BYTES).hexdigest()


def passage_group(context: str) -> str:
    """The identity of a passage: equal for passages that differ in letter case and white space only."""
    return "passage-" + text_hash(context)


def _content(example: Example) -> str:
    """The row's whole content without its id and group, as one text."""
    parts = [
        example.context or "",
        example.question or "",
        example.text or "",
        example.label or "",
        _ITEM.join(example.answers),
        _ITEM.join(map(str, example.answer_starts)),
    ]
    parts += [f"{message.role}{_ITEM}{message.content}" for message in example.messages]
    if example.extra:
        parts.append(json.dumps(example.extra, sort_keys=True, ensure_ascii=False, default=str))
    return _FIELD.join(parts)


class Fingerprint:
    """The digest and the sketch of a dataset, built row by row in bounded memory.

    The sketch is the bottom-k sketch of Cohen and Kaplan (PODC 2007): the k smallest hashes of the distinct rows.
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._smallest: set[str] = set()
        self._bound = "g"  # above every hex digit, so that all hashes are kept until the sketch is full

    def add(self, example: Example) -> str:
        """Count the row in; returns its row hash.

        Raises:
            UnicodeEncodeError: the row holds a lone surrogate. ValueError: it holds a null character.
        """
        content = _content(example).encode()
        if b"\0" in content:
            raise ValueError("null character")
        self._digest.update(content)
        self._digest.update(b"\x1d")
        digits = row_hash(example)
        if digits < self._bound:
            self._smallest.add(digits)
            if len(self._smallest) >= 8 * SKETCH_SIZE:
                self._smallest = set(sorted(self._smallest)[:SKETCH_SIZE])
                self._bound = max(self._smallest)
        return digits

    @property
    def digest(self) -> str:
        """16 hex digits over the content of the rows in their order."""
        return self._digest.hexdigest()[:16]

    @property
    def sketch(self) -> tuple[str, ...]:
        """At most `SKETCH_SIZE` row hashes, sorted."""
        return tuple(sorted(self._smallest)[:SKETCH_SIZE])


def shares_rows(sketch_a: Sequence[str], sketch_b: Sequence[str]) -> bool:
    """Whether two datasets have a row in common, as far as their sketches tell.

    Exact (up to a 40-bit collision) while both datasets have at most `SKETCH_SIZE` distinct rows. A sketch of a larger
    dataset of n rows holds each row with probability `SKETCH_SIZE` / n, so m shared rows are missed with probability
    about (1 − SKETCH_SIZE / n) ** m.
    """
    return not set(sketch_a).isdisjoint(sketch_b)
