"""Passages about people, with the place of every answer in the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from predictor.lab.names import draw_person
from predictor.lab.relations import Relation
from predictor.lab.values import DRAW

_FULL_NAME_SHARE: Final = 0.15
"""Share of mentions by the full name, after the first one, which always is."""


@dataclass(frozen=True)
class Fact:
    """`value` stands at character `start` of the passage; `statement` is the index of the template that says so."""

    person: str
    relation: Relation
    value: str
    start: int
    statement: int


@dataclass(frozen=True)
class Passage:
    """A text, and the facts that it states in the order of the text."""

    text: str
    facts: tuple[Fact, ...]


def draw_passage(
    rng: Random, relations: Sequence[Relation], people: int, facts_each: int, pool: str, *, shared: bool = False
) -> Passage:
    """A passage of `people` × `facts_each` statements. No word occurs in two names or values.

    Args:
        relations: those that facts are drawn from, at least `people` × `facts_each`, or twice `facts_each` if `shared`.
        pool: the pool of names (`predictor.lab.names.POOLS`).
        shared: half of the relations of the first person are stated of every other person too, so that only person and
            relation together tell the answer; otherwise no relation is stated twice.
    """
    used: set[str] = set()
    names = [_fresh(lambda: draw_person(rng, pool), used) for _ in range(people)]
    if shared:
        first = rng.sample(relations, facts_each)
        common = first[: (facts_each + 1) // 2]
        others = [relation for relation in relations if relation not in common]
        plan = [(names[0], relation) for relation in first]
        for name in names[1:]:
            plan += [(name, relation) for relation in common + rng.sample(others, facts_each - len(common))]
    else:
        drawn = rng.sample(relations, people * facts_each)
        plan = [(name, relation) for index, name in enumerate(names) for relation in drawn[index::people]]
    if rng.random() < 0.5:
        rng.shuffle(plan)
    else:
        rng.shuffle(names)
        plan.sort(key=lambda pair: (names.index(pair[0]), rng.random()))
    return _write(rng, plan, pool, used)


def _write(rng: Random, plan: list[tuple[str, Relation]], pool: str, used: set[str]) -> Passage:
    text = ""
    facts = []
    introduced: set[str] = set()
    for person, relation in plan:
        value = _fresh(lambda kind=relation.kind: DRAW[kind](rng, pool), used)  # type: ignore[misc]
        statement = rng.randrange(len(relation.statements))
        full = person not in introduced or rng.random() < _FULL_NAME_SHARE
        subject = person if full else person.split()[0]
        introduced.add(person)
        before, after = relation.statements[statement].replace("{x}", subject).split("{v}")
        text += " " if text else ""
        facts.append(Fact(person, relation, value, len(text) + len(before), statement))
        text += before + value + after
    return Passage(text, tuple(facts))


def _fresh(draw: Callable[[], str], used: set[str]) -> str:
    """A draw none of whose words is among `used`; marks its words as used.

    So what follows a word of a name or value is settled by that word, and copying an answer is a matter of reading, not
    of luck.
    """
    for _ in range(50):
        value = draw()
        if not used.intersection(value.split()):
            break
    used.update(value.split())
    return value
