"""Passages about people, with the place of every answer in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from predictor.lab.names import draw_person
from predictor.lab.relations import Relation
from predictor.lab.values import DRAW


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
    text: str
    facts: tuple[Fact, ...]


def draw_passage(
    rng: Random, relations: Sequence[Relation], people: int, facts_each: int, pool: str, statements: int = 4
) -> Passage:
    """A passage of `people` × `facts_each` statements.

    Every person but the first shares about half of its relations with the first, so that neither the person nor the
    relation alone tells the answer. No word of a name or value occurs twice as a made-up word.

    Args:
        relations: those that facts are drawn from, at least `facts_each`.
        pool: the pool of made-up words (`predictor.lab.names.POOLS`).
        statements: only the first so many statement templates are used.
    """
    used: set[str] = set()
    names = [_fresh(rng, lambda: draw_person(rng, pool), used) for _ in range(people)]
    first = rng.sample(relations, facts_each)
    plan: list[tuple[str, Relation]] = [(names[0], relation) for relation in first]
    for name in names[1:]:
        shared = rng.sample(first, (facts_each + rng.randrange(2)) // 2)
        others = [relation for relation in rng.sample(relations, min(len(relations), 2 * facts_each)) if relation not in shared]
        plan += [(name, relation) for relation in (shared + others)[:facts_each]]
    if rng.random() < 0.5:
        rng.shuffle(plan)
    else:
        rng.shuffle(names)
        plan.sort(key=lambda pair: (names.index(pair[0]), rng.random()))
    return _write(rng, plan, pool, statements, used)


def _write(rng: Random, plan: list[tuple[str, Relation]], pool: str, statements: int, used: set[str]) -> Passage:
    text = ""
    facts = []
    introduced: set[str] = set()
    for person, relation in plan:
        kind = rng.choice(list(DRAW)) if relation.kind == "any" else relation.kind
        value = _fresh(rng, lambda kind=kind: DRAW[kind](rng, pool), used)  # type: ignore[misc]
        statement = rng.randrange(min(statements, len(relation.statements)))
        subject = person if person not in introduced or rng.random() < 0.5 else person.split()[0]
        introduced.add(person)
        before, after = relation.statements[statement].replace("{x}", subject).split("{v}")
        text += " " if text else ""
        facts.append(Fact(person, relation, value, len(text) + len(before), statement))
        text += before + value + after
    return Passage(text, tuple(facts))


def _fresh(rng: Random, draw, used: set[str]) -> str:  # type: ignore[no-untyped-def]
    """A draw that has no capitalised word, and is not as a whole, among `used`; marks its words as used."""
    for _ in range(50):
        value = draw()
        words = {word for word in value.split() if word[0].isupper() and word != "The"} | {value}
        if not words & used:
            break
    used |= words
    return value
