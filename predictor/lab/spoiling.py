"""The ways in which a row of a dataset can be poor. Each turns one row into a worse one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random

from predictor.data.operators.wording import first_half, look_alike, shuffled
from predictor.lab.items import Item

Spoil = Callable[[Item, Random, Sequence[Item]], Item]
"""(row, random stream of this row, all rows of the dataset) → the spoilt row."""


def wrong_answer(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """The answer to another question about the same passage."""
    others = [fact for fact in item.passage.facts if fact.value != item.answer]
    fact = rng.choice(others)
    return replace(item, answer=fact.value, start=fact.start)


def answer_of_another_row(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """The answer to a question about another passage, so that nothing maps inputs to outputs."""
    other = _other(item, rng, items)
    return replace(item, answer=other.fact.value, start=-1)


def irrelevant_context(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """A passage that says nothing about the question."""
    return replace(item, context=_other(item, rng, items).passage.text, start=-1)


def truncated_answer(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """The first half of the answer's letters."""
    return replace(item, answer=first_half(item.answer))


def verbose_answer(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """The answer in a whole sentence."""
    sentence = item.fact.relation.sentence.replace("{x}", item.fact.person).replace("{v}", item.fact.value)
    return replace(item, answer=sentence, start=item.context.find(sentence))


def neighbouring_words(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """An answer whose borders are set too wide: it takes in the word before or after."""
    start, end = item.start, item.start + len(item.answer)
    before = item.context[:start].rstrip().rfind(" ") + 1
    after = item.context.find(" ", end + 1)
    if start > 0 and (rng.random() < 0.5 or after < 0):
        start = before
    else:
        end = after if after > 0 else len(item.context)
    return replace(item, answer=item.context[start:end].strip(), start=start)


def foreign_characters(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """The answer's letters replaced by Cyrillic ones that look the same."""
    return replace(item, answer=look_alike(item.answer), start=-1)


def shuffled_words(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """Passage, question and answer, each with its words in another order."""
    context, question, answer = (shuffled(rng, text) for text in (item.context, item.question, item.answer))
    return replace(item, context=context, question=question, answer=answer, start=context.find(answer))


def _other(item: Item, rng: Random, items: Sequence[Item]) -> Item:
    """A row about another passage; the row itself when the dataset has one passage only."""
    for _ in range(50):
        other = rng.choice(items)
        if other.group != item.group:
            return other
    return item
