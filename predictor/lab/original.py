"""What the embedded base model was taught, as rows: chats in its own style, and facts to choose among.

A fine-tune should not make the model worse at them. They are drawn as in pretraining, from the same pool of names, by
random streams of their own.
"""

from __future__ import annotations

from random import Random
from typing import Final

from predictor.data.example import Example
from predictor.lab.lessons import Level, draw_chats
from predictor.lab.passages import draw_passage
from predictor.lab.relations import RELATIONS
from predictor.lab.values import DRAW

_LEVELS: Final = (Level(2, 4, 4), Level(3, 3, 4))
_OWN_KIND: Final = 2
"""Wrong choices of the right one's own kind, which the passage does not name; the other one it says of somebody."""
_SHARED: Final = 0.5
"""Share of passages that may say of another person what is asked: finding a value of the right kind is not enough."""


def original_examples(size: int, seed: int) -> list[Example]:
    """Chats as the base model was taught them: its answers are bare values for some relations, sentences for others.

    Rows of one passage follow one another; the first rows of a longer list are those of a shorter one.
    """
    rng = Random(f"original-{seed}")
    rows: list[Example] = []
    number = 0
    while len(rows) < size:
        passage, chats = draw_chats(rng, rng.choice(_LEVELS))
        for question, parts in chats:
            rows.append(
                Example(
                    id=f"original-{seed}-{len(rows)}",
                    answers=("".join(parts),),
                    context=passage.text,
                    question=question,
                    group=f"original-{seed}-{number}",
                )
            )
        number += 1
    return rows[:size]


def fact_examples(size: int, seed: int = 0) -> list[Example]:
    """Questions on facts of a passage with four choices in `extra`: `choices`, and the relation as `subject`.

    They are about the relations that were asked for in pretraining, in turn.
    """
    rng = Random(f"facts-{seed}")
    asked = [relation for relation in RELATIONS if relation.met]
    rows: list[Example] = []
    while len(rows) < size:
        relation = asked[len(rows) % len(asked)]
        passage = draw_passage(rng, RELATIONS, 2, 4, "pretrain", shared=rng.random() < _SHARED)
        fact = next((fact for fact in passage.facts if fact.relation is relation), None)
        if fact is None:
            continue
        others = [other for other in passage.facts if other.value != fact.value]
        rival = next((other for other in others if other.relation is relation), others[0])
        taken = {fact.value, *(other.value for other in others)}
        foreign: list[str] = []
        while len(foreign) < _OWN_KIND:
            value = DRAW[relation.kind](rng, "pretrain")
            if value not in taken:
                foreign.append(value)
                taken.add(value)
        choices = [fact.value, *foreign, rival.value]
        rng.shuffle(choices)
        question = relation.questions[rng.randrange(relation.met)].replace("{x}", fact.person)
        rows.append(
            Example(
                id=f"fact-{seed}-{len(rows)}",
                answers=(fact.value,),
                context=passage.text,
                question=question,
                extra={"choices": choices, "subject": relation.name},
            )
        )
    return rows
