"""Words, sentences and letters of a text, in scripts with and without spaces."""

from __future__ import annotations

import re
from functools import lru_cache
from random import Random
from typing import Final

_WIDE: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
"""Kana and ideographs, which are written without spaces: each counts as a word."""
_HAS_WIDE: Final = re.compile(f"[{_WIDE}]")
_HAS_KANA: Final = re.compile("[\u3040-\u30ff]")
_WORD: Final = re.compile(rf"[{_WIDE}]|[^\W{_WIDE}]+(?:[.,'’:/–-][^\W{_WIDE}]+)*")
_CHUNK: Final = re.compile(rf"[{_WIDE}]|[^\s{_WIDE}]+")
_SENTENCE_END: Final = re.compile("(?:[.!?]+[\"'”’)\\]]*(?=\\s|$)|[。！？]+[”’」』）]*|\n)")
_STOPS: Final = " \t\r\n.。!！?？"
_LOOKALIKES: Final = str.maketrans("aceiopxyABCEHIKMOPTX1", "асеіорхуАВСЕНІКМОРТХІ")
"""Latin letters, and the 1 of every year, with the Cyrillic letters that look the same."""

Span = tuple[int, int]
"""The first character, and the one behind the last."""


def first_half(text: str) -> str:
    """The first half of the letters, the middle one included."""
    return text[: (len(text) + 1) // 2].rstrip()


def look_alike(text: str) -> str:
    """The letters replaced by Cyrillic ones that look the same."""
    return text.translate(_LOOKALIKES)


def shuffled(rng: Random, text: str) -> str:
    """The words in another order; in text without spaces the characters are."""
    if not _HAS_WIDE.search(text):
        words = text.split()
        return " ".join(rng.sample(words, len(words)))
    chunks = _CHUNK.findall(text)
    mixed = ""
    for chunk in rng.sample(chunks, len(chunks)):
        apart = mixed and not _HAS_WIDE.match(mixed[-1]) and not _HAS_WIDE.match(chunk)
        mixed += f" {chunk}" if apart else chunk
    return mixed


@lru_cache(maxsize=64)
def words(text: str) -> tuple[Span, ...]:
    """Where the words of a text stand; neighbouring rows often share their passage, which is read once."""
    return tuple(match.span() for match in _WORD.finditer(text))


def crosses_sentences(text: str) -> bool:
    """Whether a sentence ends within the text."""
    return _SENTENCE_END.search(text.rstrip(_STOPS)) is not None


def sentence_around(text: str, part: Span) -> str:
    """The sentence, or the sentences, in which a part of a text stands."""
    start, end = 0, len(text)
    for match in _SENTENCE_END.finditer(text):
        if match.end() <= part[0]:
            start = match.end()
        elif match.end() >= part[1]:
            end = match.end()
            break
    return text[start:end].strip()


def carrier_sentence(question: str, answer: str) -> str:
    """A neutral sentence that states the answer, in the script of the two: Chinese, Japanese or else English.

    An answer that is a sentence already is told after its question.
    """
    asked = question.strip()
    whole = answer.rstrip()[-1:] in _STOPS and asked
    if _HAS_KANA.search(question + answer):
        return f"質問は「{asked}」で、答えは次の通りです。{answer}" if whole else f"答えは{answer}です。"
    if _HAS_WIDE.search(question + answer):
        return f"问题是“{asked}”，答案如下：{answer}" if whole else f"答案是{answer}。"
    return f"The question was: {asked} The answer is as follows: {answer}" if whole else f"The answer is {answer}."
