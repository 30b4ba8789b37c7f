"""The quality of a reasoning without a judge: four numbers in [0, 1], each a count that can be looked up by hand.

They measure form, not truth: a fluent, concrete and complete text that is wrong has high values. They stand beside the
error of the score that the text leads to, not in its place.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Final

import numpy as np

Encode = Callable[[Sequence[str]], np.ndarray]
"""Texts → unit vectors, (texts, width)."""

_LINKS: Final = (
    "because since so therefore thus hence however but although though while whereas yet still first second third "
    "finally then next moreover furthermore besides also instead overall consequently nevertheless despite if unless "
    "因为 所以 因此 但是 然而 虽然 首先 其次 最后 此外 而且 由于 不过 同时 总之 如果"
)
CONNECTIVES: Final = frozenset(_LINKS.split(" "))
"""Words that say how a sentence hangs together with others."""
_CJK: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD: Final = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+(?:'[^\\W_]+)?")
_SENTENCE: Final = re.compile(r"[^.!?。！？\n]*(?:\.\d[^.!?。！？\n]*)*[.!?。！？\n]?")
_NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
_NAME: Final = re.compile(r"(?<![.!?。！？\n]\s)(?<!^)(?<!\w)[A-Z][\w-]+")
_EXAMPLE: Final = re.compile(
    r"\b(?:for example|for instance|such as|e\.g\.)|\"[^\"]+\"|“[^”]+”|例如|比如|「[^」]+」", re.I
)
_COMMON: Final = (
    "a an and are as at be been but by did do does for from had has have he her his i in is it its of on or our she "
    "that the their them they this to was we were what when which who will with would you your not no so if"
)
_STOP: Final = frozenset(_COMMON.split(" "))


def words(text: str) -> list[str]:
    """Words without case; two characters at a time of a script that is written without spaces."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if re.match(f"[{_CJK}]", word) and len(word) > 1:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
        else:
            found.append(word)
    return found


def sentences(text: str) -> list[str]:
    """Sentences, without those that hold no word; the point of a number ends none."""
    parts = (part.strip() for part in _SENTENCE.findall(text))
    return [part for part in parts if _WORD.search(part)]


def coherence(text: str, encode: Encode | None = None) -> float:
    """How its sentences hang together: the mean of two parts.

    Half is the share of the sentences after the first that hold a connective; half is the mean cosine of each two
    neighbours by the sentence encoder, cut at 0 (Foltz, Kintsch and Landauer 1998, "The measurement of textual
    coherence with latent semantic analysis"). Neighbours that are the same to the word count as 0: that is no thread.
    Without an encoder the first part alone counts; a single sentence has 0.5 where it has a connective, else 0.
    """
    parts = sentences(text)
    linked = [float(_has_connective(part)) for part in parts]
    if len(parts) < 2:
        return 0.5 * sum(linked)
    share = sum(linked[1:]) / (len(parts) - 1)
    if encode is None:
        return share
    vectors = encode(parts)
    near = [
        0.0 if words(a) == words(b) else max(0.0, float(u @ v))
        for a, b, u, v in zip(parts, parts[1:], vectors, vectors[1:], strict=False)
    ]
    return min(1.0, 0.5 * share + 0.5 * sum(near) / len(near))


def term_use(text: str, terms: Collection[str]) -> float:
    """Use of the field's terms: 1 − exp(−k/3) of k different ones; 0 of none, 0.63 of three. NaN without a list."""
    if not terms:
        return math.nan
    held = set(words(text))
    folded = f" {' '.join(words(text))} "
    found = {term for term in terms if (term in held if " " not in term else f" {term} " in folded)}
    return 1.0 - math.exp(-len(found) / 3.0)


def sufficiency(text: str, source: str, most: int = 20) -> float:
    """Share of the source's content words that the text takes up, of the `most` commonest; NaN where it has none."""
    content = Counter(word for word in words(source) if _is_content(word))
    wanted = [word for word, _ in sorted(content.items(), key=lambda pair: (-pair[1], pair[0]))[:most]]
    held = set(words(text))
    return sum(word in held for word in wanted) / len(wanted) if wanted else math.nan


def specificity(text: str) -> float:
    """Numbers, names and examples for each sentence: 1 − exp(−k/s) of k in s sentences; 0 of none, 0.63 of one each."""
    parts = sentences(text)
    if not parts:
        return 0.0
    found = len(_NUMBER.findall(text)) + len(_NAME.findall(text)) + len(_EXAMPLE.findall(text))
    return 1.0 - math.exp(-found / len(parts))


def field_terms(texts: Sequence[str], background: Sequence[str], most: int = 50) -> tuple[str, ...]:
    """Words that set texts apart from a background: by Dunning's log-likelihood ratio, in at least two of the texts.

    Dunning 1993, "Accurate methods for the statistics of surprise and coincidence". Ordered from the most telling.
    """
    inside = Counter(word for text in texts for word in words(text))
    outside = Counter(word for text in background for word in words(text))
    spread = Counter(word for text in texts for word in set(words(text)))
    n, m = max(1, inside.total()), max(1, outside.total())

    def weight(word: str) -> float:
        a, b = inside[word], outside[word]
        expected = (a + b) / (n + m)
        if a / n <= expected:
            return 0.0
        return 2.0 * sum(k * math.log(k / (size * expected)) for k, size in ((a, n), (b, m)) if k)

    telling = [(weight(word), word) for word in inside if _is_content(word) and spread[word] > 1]
    return tuple(word for value, word in sorted(telling, key=lambda pair: (-pair[0], pair[1]))[:most] if value > 0)


def _has_connective(sentence: str) -> bool:
    return not CONNECTIVES.isdisjoint(words(sentence)) or any(
        word in sentence for word in CONNECTIVES if re.match(f"[{_CJK}]", word)
    )


def _is_content(word: str) -> bool:
    return (len(word) > 2 or bool(re.match(f"[{_CJK}]", word))) and word not in _STOP and not word.isdecimal()
