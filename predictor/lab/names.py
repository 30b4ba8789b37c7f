"""Made-up names of people, towns, languages and firms, in three pools that share no name."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from random import Random
from typing import Final


def words(text: str) -> tuple[str, ...]:
    """The words of a list written as one text."""
    return tuple(text.split())


POOLS: Final = ("pretrain", "train", "evaluation")
_POOL_OF_BUCKET: Final = ("pretrain",) * 6 + ("train",) * 2 + ("evaluation",) * 2

_STARTS: Final = tuple(first + vowel + last for first in "BCDFGHJKLMNPRSTVWYZ" for vowel in "aeo" for last in "lnr")
_ENDS: Final = {
    "given": words("""
        bin bra dan dis gan han kas len lia mir nah nin phi ra rek rin sha tan tha vek via vin wen xa yan zia
    """),
    "family": words("""
        brook croft dale fell gard hurst kin land lock man marsh more rick shaw son stone strom thorn ward well
    """),
    "friend": words("""
        bert by die dy ger hilt kin lo mo ny rid sy ton wig zo
    """),
    "firm": words("""
        bank co corp dex gen ium lab lex lux med nex onic tech tron works
    """),
    "place": words("""
        bay bury by castle cliff dorf field ford gate ham haven holm mere mouth port stead ton vale wick worth
    """),
    "language": words("""
        dan dese desh dic dish dite doan dul duric gan gese gish guric man mese mish muric
    """),
}
_COUNTS: Final = {"given": 50, "family": 40, "friend": 20, "place": 20, "firm": 20, "language": 20}


def _make_words() -> dict[str, tuple[str, ...]]:
    """So many words of each kind. No two begin alike, so each is a token of its own in a small vocabulary."""
    rng = Random("made-up words")
    starts = iter(rng.sample(_STARTS, len(_STARTS)))
    return {kind: tuple(next(starts) + rng.choice(_ENDS[kind]) for _ in range(n)) for kind, n in _COUNTS.items()}


WORDS: Final = _make_words()
"""Made-up words by kind."""


def pool_of(name: str) -> str:
    """The one pool that a name belongs to, by its checksum."""
    return _POOL_OF_BUCKET[zlib.crc32(name.encode()) % len(_POOL_OF_BUCKET)]


def draw_from_pool(rng: Random, pool: str, draw: Callable[[Random], str]) -> str:
    """A name out of `pool`; `draw` makes one out of any.

    Names as a whole belong to a pool, not the made-up words in them: a base model of a million weights copies only what
    it has met in pretraining.
    """
    while True:
        name = draw(rng)
        if pool_of(name) == pool:
            return name


def draw_word(rng: Random, kind: str) -> str:
    """A made-up word of `kind`, a key of WORDS."""
    return rng.choice(WORDS[kind])


def draw_person(rng: Random, pool: str) -> str:
    """A given name and a family name, out of `pool`."""
    return draw_from_pool(rng, pool, lambda rng: f"{draw_word(rng, 'given')} {draw_word(rng, 'family')}")
