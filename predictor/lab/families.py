"""Families of datasets whose quality is known because we made it; each has one dial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from predictor.catalog import Catalog
from predictor.data.example import Example
from predictor.errors import ConfigError
from predictor.lab import spoiling
from predictor.lab.items import Item, draw_items
from predictor.lab.relations import RELATIONS

Build = Callable[[float, int, str], list[Item]]
"""(dial, size, name of the random stream) → the rows."""


@dataclass(frozen=True)
class Family:
    """One way in which a dataset can be poor.

    Attributes:
        dial: what the dial means, with its unit.
        low, high: the dial's range.
        settings: dial settings that show the family, from the best dataset to the worst.
    """

    dial: str
    build: Build
    settings: tuple[float, ...]
    low: float = 0.0
    high: float = 1.0


_SHARE_SETTINGS: Final = (0.0, 0.3, 0.5, 0.7, 0.9, 1.0)
FAMILIES: Final[Catalog[Family]] = Catalog("lab family")


def generate(family: str, dial: float, size: int, seed: int) -> list[Example]:
    """The rows of one dataset, the same for the same arguments.

    Args:
        family: a name in FAMILIES.
        dial: how far the family goes, within its range; for `size` the number of rows.
        size: the number of rows (left aside by the family `size`).
        seed: other seeds give other passages; datasets of different families or seeds share no passage.

    Raises:
        ConfigError: the family is unknown, or the dial or size is out of range.
    """
    entry = FAMILIES.get(family)
    _check(f"dial of {family} ({entry.dial})", dial, entry.low, entry.high)
    _check("size (rows)", size, 1, 100_000)
    items = entry.build(dial, size, f"{family}-{seed}")
    return [item.example(f"{family}-{seed}-{number}") for number, item in enumerate(items)]


def _check(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{what} is {value:g}", rule=f"from {low:g} to {high:g}")


def _spoil_share(spoil: spoiling.Spoil) -> Build:
    """A family whose dial is the share of rows that are spoilt; a higher dial spoils the same rows and more."""

    def build(dial: float, size: int, stream: str) -> list[Item]:
        items = draw_items(stream, size, "train")
        order = Random(f"{stream}-order").sample(range(size), size)
        rows = list(items)
        for index in order[: round(dial * size)]:
            rows[index] = spoil(items[index], Random(f"{stream}-row-{index}"), items)
        return rows

    return build


def _size(dial: float, size: int, stream: str) -> list[Item]:
    return draw_items(stream, int(dial), "train")


def _duplicated(dial: float, size: int, stream: str) -> list[Item]:
    different = draw_items(stream, max(1, round((1 - dial) * size)), "train")
    return [different[index % len(different)] for index in range(size)]


def _few_relations(dial: float, size: int, stream: str) -> list[Item]:
    order = Random(f"{stream}-relations").sample(RELATIONS, len(RELATIONS))
    kept = max(1, round((1 - dial) * len(RELATIONS)))
    return draw_items(stream, size, "train", relations=tuple(order[:kept]))


def _one_phrasing(item: Item, rng: Random, items: object) -> Item:
    return replace(item, phrasing=0, question=item.fact.relation.questions[0].replace("{x}", item.fact.person))


def _share_of(draw_odd: Callable[[str, int], list[Item]]) -> Build:
    """A family whose dial is the share of rows that are drawn in another way."""

    def build(dial: float, size: int, stream: str) -> list[Item]:
        odd = round(dial * size)
        rows = draw_items(stream, size - odd, "train") + draw_odd(f"{stream}-odd", odd)
        Random(f"{stream}-order").shuffle(rows)
        return rows

    return build


def _easy(stream: str, size: int) -> list[Item]:
    met = tuple(relation for relation in RELATIONS if relation.met)
    return draw_items(stream, size, "train", relations=met, shapes=((1, 1),), met_phrasings=True)


def _hard(stream: str, size: int) -> list[Item]:
    return draw_items(stream, size, "train", shapes=((5, 3),), shared=True)


def _mixture(first: str, second: str) -> Build:
    """Half of the rows from each of two families at the same dial."""

    def build(dial: float, size: int, stream: str) -> list[Item]:
        half = size // 2
        rows = FAMILIES.get(first).build(dial, size - half, f"{stream}-first")
        rows += FAMILIES.get(second).build(dial, half, f"{stream}-second")
        Random(f"{stream}-order").shuffle(rows)
        return rows

    return build


def _add(
    name: str,
    dial: str,
    build: Build,
    settings: tuple[float, ...] = _SHARE_SETTINGS,
    low: float = 0.0,
    high: float = 1.0,
) -> None:
    FAMILIES.add(name, Family(dial, build, settings, low, high))


_add("size", "number of rows", _size, (2048, 1024, 512, 256, 128, 64, 32), 1, 100_000)
for _name, _what, _spoil in (
    ("wrong_answers", "answered with another value of the passage", spoiling.wrong_answer),
    ("swapped_answers", "with the answer of another row", spoiling.answer_of_another_row),
    ("irrelevant_context", "with the passage of another row", spoiling.irrelevant_context),
    ("truncated_answers", "with the first half of the answer", spoiling.truncated_answer),
    ("verbose_answers", "answered in a sentence", spoiling.verbose_answer),
    ("wide_answers", "whose answer takes in a neighbouring word", spoiling.neighbouring_words),
    ("foreign_characters", "whose answer is in look-alike letters", spoiling.foreign_characters),
    ("one_phrasing", "asked in the first phrasing of their relation", _one_phrasing),
    ("shuffled_words", "whose words are out of order", spoiling.shuffled_words),
):
    _add(_name, f"share of rows {_what}", _spoil_share(_spoil))
_add("duplicated_rows", "share of rows that repeat others", _duplicated, (0.0, 0.5, 0.75, 0.9, 0.95, 0.98))
_add("few_relations", "share of relations never asked", _few_relations, (0.0, 0.25, 0.5, 0.75, 0.9375))
_add("easy_only", "share of rows with one fact, asked in words that the base knows", _share_of(_easy))
_add("hard_only", "share of rows from 5 x 3 facts with shared relations", _share_of(_hard))
_add(
    "wrong_and_verbose",
    "dial of wrong_answers in one half, of verbose_answers in the other",
    _mixture("wrong_answers", "verbose_answers"),
)
_add(
    "truncated_and_duplicated",
    "dial of truncated_answers in one half, of duplicated_rows in the other",
    _mixture("truncated_answers", "duplicated_rows"),
)
