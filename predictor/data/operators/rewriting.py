"""A row with another answer, passage or question, so that all of its parts still say the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from predictor.data.example import Example, Message
from predictor.data.fingerprint import normalise

_ANSWERED_BESIDE = ("turns", "company_info")
"""Parts of a raw row that are kept for conversion and hold what is changed here."""

NO_ANSWER = "no answer"
NO_CONTEXT = "no context"


def accepted(example: Example) -> frozenset[str]:
    """The accepted answers without differences in letter case and white space."""
    return frozenset(map(normalise, example.answers))


def with_answer(example: Example, answer: str, start: int = -1) -> Example:
    """The row with one other answer.

    Args:
        start: its character offset in the context. Where none is given it is looked up, as reading a file does: an
            answer that occurs once is found.
    """
    context = example.context or ""
    if start < 0 and context.count(answer) == 1:
        start = context.find(answer)
    return replace(
        example, answers=(answer,), answer_starts=(start,) if start >= 0 else (), extra=_without_copies(example)
    )


def with_prompt(example: Example, context: str | None, question: str | None) -> Example:
    """The row with another passage and question; its turns say them where they said the old ones.

    Offsets of answers are looked up again.
    """
    messages = example.messages
    if messages:
        *past, last = messages
        messages = (*past, last._replace(content=_asked(last.content, example, context, question)))
    starts = [(context or "").find(text) if (context or "").count(text) == 1 else -1 for text in example.answers]
    return replace(
        example,
        context=context,
        question=question,
        messages=messages,
        answer_starts=tuple(starts) if starts and min(starts) >= 0 else (),
        extra=_without_copies(example),
    )


def with_last_turn(example: Example, content: str) -> Example:
    """A conversation that ends in another turn before the answer."""
    *past, last = example.messages
    return replace(example, messages=(*past, Message(last.role, content)), extra=_without_copies(example))


def span(example: Example) -> tuple[int, int] | None:
    """Where the answer stands in its passage (first character, and the one behind it); None where it does not."""
    context, answer = example.context or "", example.answer
    if not answer:
        return None
    told = example.answer_starts[0] if example.answer_starts else -1
    start = told if told >= 0 and context.startswith(answer, told) else context.find(answer)
    return (start, start + len(answer)) if start >= 0 else None


def _asked(turn: str, example: Example, context: str | None, question: str | None) -> str:
    """The turn with its old passage and question exchanged; written anew where it did not hold them word for word."""
    places = []
    # The passage is mostly written first, and may quote the question.
    for text, new, find in ((example.context, context, turn.find), (example.question, question, turn.rfind)):
        if text:
            at = find(text)
            places.append((at, at + len(text), new or ""))
    places.sort()
    apart = all(behind <= start for (_, behind, _), (start, _, _) in pairwise(places))
    if not places or places[0][0] < 0 or not apart:
        return f"Context: {context}\nQuestion: {question}" if context else question or ""
    for start, behind, new in reversed(places):
        turn = turn[:start] + new + turn[behind:]
    return turn


def _without_copies(example: Example) -> dict[str, object]:
    return {name: value for name, value in example.extra.items() if name not in _ANSWERED_BESIDE}
