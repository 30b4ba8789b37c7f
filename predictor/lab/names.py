"""Made-up words for people, towns, languages and firms, in three pools that share no word."""

from __future__ import annotations

import zlib
from random import Random
from typing import Final


def words(text: str) -> tuple[str, ...]:
    """The words of a list written as one text."""
    return tuple(text.split())


POOLS: Final = ("pretrain", "train", "evaluation")
_POOL_OF_BUCKET: Final = ("pretrain",) * 6 + ("train",) * 2 + ("evaluation",) * 2

STARTS: Final = tuple(first + vowel + last for first in "BCDFGHJKLMNPRSTVWYZ" for vowel in "aeo" for last in "lnr")
_ENDS: Final = {
    "given": words("""
        bin bra dan dis gan han kas len lia mir nah nin phi ra rek rin sha tan tha vek via vin wen xa yan zia
    """),
    "family": words("""
        brook croft dale fell gard hurst kin land lock man marsh more rick shaw son stone strom thorn ward well
    """),
    "place": words("""
        bay bury by castle cliff dorf field ford gate ham haven holm mere mouth port stead ton vale wick worth
    """),
    "language": words("""
        dan dese desh dic dish dite doan dul duric gan gese gish guric man mese mish muric
    """),
}


def pool_of(word: str) -> str:
    """The one pool that a made-up word belongs to, by its checksum."""
    return _POOL_OF_BUCKET[zlib.crc32(word.encode()) % len(_POOL_OF_BUCKET)]


def draw_word(rng: Random, kind: str, pool: str) -> str:
    """A made-up word of `kind` (given, family, place or language) out of `pool`."""
    while True:
        word = rng.choice(STARTS) + rng.choice(_ENDS[kind])
        if pool_of(word) == pool:
            return word


def draw_person(rng: Random, pool: str) -> str:
    """A given name and a family name."""
    return f"{draw_word(rng, 'given', pool)} {draw_word(rng, 'family', pool)}"
