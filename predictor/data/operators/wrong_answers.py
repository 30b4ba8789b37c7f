"""An answer that could be right and is not: what a hasty annotator writes."""

from __future__ import annotations

from random import Random
from typing import Final

from predictor.data.example import Example
from predictor.data.fingerprint import normalise
from predictor.data.operators.base import spoils_rows
from predictor.data.operators.neighbours import Neighbours
from predictor.data.operators.rewriting import NO_ANSWER, accepted, span, with_answer
from predictor.data.operators.wording import crosses_sentences, words

_TRIES: Final = 64


@spoils_rows("wrong_answers", "answered wrongly, from their own passage where it can be", "an answer, and another one")
def wrong_answer(example: Example, rng: Random, rows: Neighbours) -> Example | str:
    """The answer to another question about the same passage; else other words of the passage; else any other answer.

    Other words are as many as the answer has, within one sentence where that is possible. They are taken only where the
    answer itself stands in the passage: a summary or a score is not replaced by a phrase.
    """
    right = accepted(example)
    if not right:
        return NO_ANSWER

    def differs(other: Example) -> bool:
        return bool(other.answers) and normalise(other.answer) not in right

    neighbour = rows.same_passage(example, rng, differs)
    if neighbour is not None:
        found = span(neighbour) if neighbour.context == example.context else None
        return with_answer(example, neighbour.answer, found[0] if found else -1)
    place = span(example)
    phrase = _other_words(example.context or "", place, right, rng) if place else None
    if phrase is not None:
        return with_answer(example, (example.context or "")[slice(*phrase)], phrase[0])
    stranger = rows.other_passage(example, rng, differs)
    return with_answer(example, stranger.answer) if stranger else "no other answer to take"


def _other_words(context: str, place: tuple[int, int], right: frozenset[str], rng: Random) -> tuple[int, int] | None:
    """Where other words stand that are as many as those at a place, and do not touch it."""
    spans = words(context)
    touched = [at for at, (start, end) in enumerate(spans) if start < place[1] and end > place[0]]
    if not touched:
        return None
    length, first, last = len(touched), touched[0], touched[-1]
    before = max(0, first - length + 1)
    behind = max(0, len(spans) - length - last)
    drawn = None
    for _ in range(_TRIES if before + behind else 0):
        at = rng.randrange(before + behind)
        at = at if at < before else last + 1 + at - before
        found = spans[at][0], spans[at + length - 1][1]
        text = context[slice(*found)]
        if normalise(text) in right:
            continue
        drawn = drawn or found
        if not crosses_sentences(text):
            return found
    return drawn
