"""The language of a text, from its script and its commonest words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    "ja": re.compile(r"[぀-ヿ]"),
    "ko": re.compile(r"[가-힯ᄀ-ᇿ]"),
    "zh": re.compile(r"[㐀-鿿]"),
    "ru": re.compile(r"[Ѐ-ӿ]"),
    "ar": re.compile(r"[؀-ۿ]"),
    "he": re.compile(r"[֐-׿]"),
    "el": re.compile(r"[Ͱ-Ͽ]"),
    "hi": re.compile(r"[ऀ-ॿ]"),
    "th": re.compile(r"[฀-๿]"),
}
"""Language → a character class that shows it. Scripts of several languages stand for their most spoken one."""

_FUNCTION_WORDS: Mapping[str, str] = {
    "en": "the of and to in is that was for with as are on by this from it what which you",
    "de": "der die das und ist nicht ein eine zu mit von den auf im wird dem sich für",
    "fr": "le la les des et est une dans que pour qui pas sur du au avec ce il",
    "es": "el los las y es una en que por para con del se su al como más qué",
    "it": "il lo gli di che è un una per con del della non sono nel come più",
    "pt": "o os as e é um uma em que para com não do da dos das no na",
    "nl": "de het een en van is dat niet te met op voor zijn wordt aan",
    "vi": "và của là có không được cho một trong với các những người này",
}
_SAMPLE = 600
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")


@cache
def _function_words() -> Mapping[str, frozenset[str]]:
    return {code: frozenset(words.split()) for code, words in _FUNCTION_WORDS.items()}


def language_of(text: str) -> str:
    """A two-letter code (ISO 639-1), or `other` when neither script nor words tell.

    Meant for shares over a dataset: single short texts are often `other`.
    """
    sample = text[:_SAMPLE].lower()
    if not sample.isascii():
        letters = len(_LETTER.findall(sample))
        for code, script in _SCRIPTS.items():
            # A few kana make a text Japanese although most of its characters are Chinese.
            share = 0.05 if code == "ja" else 0.3
            if len(script.findall(sample)) > share * letters:
                return code
    words = _WORD.findall(sample)
    distinct = set(words)
    hits = {code: len(distinct & known) for code, known in _function_words().items()}
    best = max(hits, key=lambda code: hits[code])
    return best if hits[best] >= max(1, len(words) // 20) else "other"
