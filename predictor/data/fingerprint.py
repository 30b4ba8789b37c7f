"""Digests of rows and datasets, by which equal datasets and datasets that share rows are recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from predictor.data.example import Example, Message

SKETCH_SIZE = 512
"""k of the bottom-k sketch: datasets of at most this many distinct rows are held exactly."""
KEPT_ONE_IN = 12
"""One hash in so many of a large dataset is kept beyond its sketch. A dataset that has 64 rows of it, or more, has none
of the kept ones with probability (1 − 1/12) ** 64 = 0.4 %; one in 14 would make 0.9 %."""
MOST_KEPT = 2**18
"""Datasets of which more would be kept (from 3.1 million rows on) keep half of them, and so on."""

_HASH_BYTES = 5
_SPACE = 16 ** (2 * _HASH_BYTES)
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


def conversation_group(messages: Sequence[Message]) -> str:
    """The identity of a conversation: what its user says first, whatever its case, white space and system prompt.

    Files often hold a conversation several times, each time one turn longer.
    """
    first = next((content for role, content in messages if role == "user"), messages[0].content)
    return "row-" + text_hash(first)


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

    The sketch is the bottom-k sketch of Cohen and Kaplan (PODC 2007): the k smallest hashes of the distinct rows. It is
    short, so that it fits a tag, and says little of a small part of a large dataset; of these all hashes below a bound
    are kept besides (adaptive sampling, Flajolet 1990).
    """

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._smallest: set[str] = set()
        self._bound = "g"  # above every hex digit, so that all hashes are kept until the sketch is full
        self._kept: set[int] = set()
        self._kept_below = _SPACE // KEPT_ONE_IN
        self._kept_digits = _digits(self._kept_below)

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
        return self.also(example)

    def also(self, example: Example) -> str:
        """Count the row's hash in, but not its content: of a row that one of the dataset was made of."""
        digits = row_hash(example)
        if digits < self._bound:
            self._smallest.add(digits)
            if len(self._smallest) >= 8 * SKETCH_SIZE:
                self._smallest = set(sorted(self._smallest)[:SKETCH_SIZE])
                self._bound = max(self._smallest)
        if digits < self._kept_digits:
            self._kept.add(int(digits, 16))
            if len(self._kept) > MOST_KEPT:
                self._kept_below //= 2
                self._kept_digits = _digits(self._kept_below)
                self._kept = {each for each in self._kept if each < self._kept_below}
        return digits

    @property
    def digest(self) -> str:
        """16 hex digits over the content of the rows in their order."""
        return self._digest.hexdigest()[:16]

    @property
    def sketch(self) -> tuple[str, ...]:
        """At most `SKETCH_SIZE` row hashes, sorted."""
        return tuple(sorted(self._smallest)[:SKETCH_SIZE])

    @property
    def row_hashes(self) -> np.ndarray:
        """(hashes,) all row hashes below a bound as sorted integers; none where the sketch holds them.

        :func:`is_short` says whether a dataset has more than its sketch.
        """
        whole = len(self._kept) >= SKETCH_SIZE
        return np.array(sorted(self._kept) if whole else [], dtype=np.int64)


def _digits(number: int) -> str:
    return f"{number:0{2 * _HASH_BYTES}x}"


def is_short(sketch: Sequence[str]) -> bool:
    """Whether the dataset of a sketch has more row hashes than the sketch: from about 6 144 distinct rows on."""
    return len(sketch) >= SKETCH_SIZE and sketch[-1] < _digits(_SPACE // KEPT_ONE_IN)
