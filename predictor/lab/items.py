"""Question-answering rows of the world, still knowing the passage and the fact that they came from."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from predictor.data.example import Example
from predictor.lab.passages import Fact, Passage, draw_passage
from predictor.lab.relations import RELATIONS, Relation

FULL: Final = ((2, 4), (3, 3))
"""People × facts each of the passages of the evaluation and of clean datasets."""
_ROWS_PER_PASSAGE: Final = 2


@dataclass(frozen=True)
class Item:
    """A row that a family may still spoil. `start` is −1 where the answer is not in the context."""

    passage: Passage
    fact: Fact
    phrasing: int
    group: str
    context: str
    question: str
    answer: str
    start: int

    def example(self, identity: str) -> Example:
        """The row as it is written to a dataset; `extra` says which relation was asked for, and in which words."""
        starts = (self.start,) if self.start >= 0 else ()
        return Example(
            id=identity,
            answers=(self.answer,),
            context=self.context,
            question=self.question,
            answer_starts=starts,
            group=self.group,
            extra={"relation": self.fact.relation.name, "phrasing": self.phrasing},
        )


def draw_items(
    seed: str,
    size: int,
    pool: str,
    *,
    relations: tuple[Relation, ...] = RELATIONS,
    shapes: tuple[tuple[int, int], ...] = FULL,
    rows_per_passage: int = _ROWS_PER_PASSAGE,
    shared: bool = False,
    met_phrasings: bool = False,
) -> list[Item]:
    """`size` clean rows; the first rows of a longer list are those of a shorter one.

    Args:
        seed: names the random stream; other text, other passages.
        relations: those that are asked for; the passages speak of all of them.
        shapes: (people, facts each), one of which each passage has.
        shared: the people of a passage share relations, see `draw_passage`.
        met_phrasings: only questions in the words that the base model has met; for relations that it has met.
    """
    rng = Random(seed)
    items: list[Item] = []
    number = 0
    while len(items) < size:
        people, facts_each = rng.choice(shapes)
        passage = draw_passage(rng, RELATIONS, people, facts_each, pool, shared=shared)
        asked = [fact for fact in passage.facts if fact.relation in relations]
        group = f"{seed}-{number}"
        number += 1
        for fact in rng.sample(asked, min(rows_per_passage, len(asked))):
            items.append(_ask(rng, passage, fact, group, met_phrasings))
    return items[:size]


def _ask(rng: Random, passage: Passage, fact: Fact, group: str, met_phrasings: bool) -> Item:
    subject = fact.person if rng.random() < 0.5 else fact.person.split()[0]
    phrasing = rng.randrange(fact.relation.met if met_phrasings else len(fact.relation.questions))
    question = fact.relation.questions[phrasing].replace("{x}", subject)
    return Item(passage, fact, phrasing, group, passage.text, question, fact.value, fact.start)


def evaluation_items(size: int = 1000) -> list[Item]:
    """The fixed questions that every lab fine-tune is scored on, one for each passage, over all relations in turn."""
    relations = len(RELATIONS)
    each = -(-size // relations)
    columns = [
        draw_items(f"evaluation-{relation.name}", each, "evaluation", relations=(relation,), rows_per_passage=1)
        for relation in RELATIONS
    ]
    return [item for row in zip(*columns, strict=True) for item in row][:size]
