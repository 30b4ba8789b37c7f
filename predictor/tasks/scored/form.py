"""The form of an answer: reasoning, scores and reason, a line each; written in one way and read strictly.

    Reasoning: The patents are new.
    Score: 4
    Reason: Two of them sell.

Reasoning and reason may be absent. Where one answer scores several dimensions, each has a line under its own label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from predictor.data.example import Example
from predictor.tasks.base import Wanted
from predictor.tasks.scored.scale import Scale, number_text, text_of

ALONE: Final = "Score"
"""The label of the score where an answer has only one."""
_NUMBER: Final = r"-?[0-9]+(?:\.[0-9]+)?"


@dataclass(frozen=True)
class Read:
    """What an answer says: `scores` by label, none where the form is broken; `words`: reasoning and reason together."""

    scores: dict[str, float]
    words: str = ""


def labels_of(dimensions: Iterable[str], scale: Scale) -> dict[str, str]:
    """The labels of the lines of an answer that scores these dimensions."""
    chosen = [name for name in scale.dimensions if name in set(dimensions)]
    return {name: scale.dimensions[name] if len(chosen) > 1 else ALONE for name in chosen}


def written(example: Example, scores: dict[str, float], scale: Scale) -> str:
    """The answer that is learnt from a row."""
    think, reason = text_of(example, "think"), text_of(example, "reason")
    parts = [f"Reasoning: {think}" if think else "", wordless(scores, scale), f"Reason: {reason}" if reason else ""]
    return "\n".join(filter(None, parts))


def wordless(scores: Mapping[str, float], scale: Scale) -> str:
    """The answer of a row's scores alone."""
    return "\n".join(f"{label}: {number_text(scores[name])}" for name, label in labels_of(scores, scale).items())


def given(scores: Mapping[str, float], scale: Scale) -> str:
    """The answer of a head: a line for each score, rounded to :attr:`Scale.decimals` and never out of the range.

    Without an exponent, so that it is read as any other answer is.
    """
    lines = []
    for name, label in labels_of(scores, scale).items():
        inside = min(max(round(scores[name], scale.decimals), scale.low), scale.high)
        lines.append(f"{label}: {np.format_float_positional(inside, trim='-')}")
    return "\n".join(lines)


def text_for_head(prompt: str | None, rated: str | None) -> str:
    """What a model with a head reads: the prompt and what is rated, of which either may be absent."""
    return "\n\n".join(filter(None, (prompt, rated)))


def asked(labels: Sequence[str], scale: Scale) -> str:
    """How the prompt says which form an answer has."""
    lines = [*(["Reasoning: ..."] if scale.thinks else []), *(f"{label}: ..." for label in labels)]
    return "\n".join([*lines, *(["Reason: ..."] if scale.reasons else [])])


def read(answer: str, labels: Sequence[str], scale: Scale) -> Read:
    """What an answer says. Any other form, or a score outside the range, is no score."""
    scores = "\n".join(f"{re.escape(label)}: ({_NUMBER})" for label in labels)
    match = re.fullmatch(rf"(?:Reasoning: ([^\n]+)\n)?{scores}(?:\nReason: ([^\n]+))?", answer.strip())
    if not match:
        return Read({}, answer.strip())
    think, *numbers, reason = match.groups()
    found = dict(zip(labels, map(float, numbers), strict=True))
    words = " ".join(filter(None, (think, reason)))
    inside = all(scale.low <= number <= scale.high for number in found.values())
    return Read(found if inside else {}, words)


def forks(generated: str, labels: Sequence[str], scale: Scale) -> list[Wanted]:
    """For each label the beginning of the answer up to its score, and every score that might follow.

    The beginning is what the model said itself, reasoning included; of an answer in another form, its reasoning and the
    label.
    """
    said = generated.strip()
    first = said.splitlines()[0] if said else ""
    reasoning = f"{first}\n" if first.startswith("Reasoning: ") and first != "Reasoning: " else ""
    found = []
    for label, following in zip(labels, [*labels[1:], ""], strict=True):
        match = re.search(rf"(?:^|\n){re.escape(label)}: ?", said)
        beginning = f"{said[: match.start()]}{match[0].rstrip()}" if match else f"{reasoning}{label}:"
        after = f"\n{following}:" if following else "\nReason:" if scale.reasons else ""
        texts = tuple(f" {number_text(level)}{after}" for level in scale.levels)
        found.append(Wanted(beginning, texts, ended=not after))
    return found
