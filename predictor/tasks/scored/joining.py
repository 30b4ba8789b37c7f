"""Rows of the same input in several dimensions as one row with all their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from predictor.data.example import Example
from predictor.data.fingerprint import normalise
from predictor.tasks.scored.scale import Wishes, text_of


def words_of(example: Example) -> str:
    """Reasoning and reason of a row, one after the other."""
    return " ".join(filter(None, (text_of(example, "think"), text_of(example, "reason"))))


def together(rows: Sequence[Example], wishes: Wishes) -> list[Example]:
    """Rows of the same input become one with all their scores; a second score of a dimension begins another."""
    found: dict[tuple[str, int], list[tuple[Example, dict[str, float]]]] = {}
    for row in rows:
        scores, number = wishes.scores(row), 0
        key = normalise(row.context or row.id)
        while any(set(scores) & set(held) for _, held in found.get((key, number), [])):
            number += 1
        found.setdefault((key, number), []).append((row, scores))
    return [_merged(members) for members in found.values()]


def _merged(members: Sequence[tuple[Example, dict[str, float]]]) -> Example:
    first = members[0][0]
    if len(members) == 1:
        return first
    scores = {name: score for _, held in members for name, score in held.items()}
    texts = {
        name: " ".join(dict.fromkeys(filter(None, (text_of(m, name) for m, _ in members))))
        for name in ("think", "reason")
    }
    question = "\n".join(dict.fromkeys(member.question or "" for member, _ in members))
    rest = {name: value for name, value in first.extra.items() if name != "dimension"}
    return replace(first, question=question, extra={**rest, **texts, "scores": scores})
