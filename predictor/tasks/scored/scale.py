"""The scale of given scores: dimensions, range, the scores that occur, the borders between classes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from predictor.data.example import Example
from predictor.data.formats.score import score_number
from predictor.errors import ConfigError, DataError

UNNAMED: Final = "score"
"""The dimension of rows that name none."""
_MOST_LEVELS: Final = 21
"""Scores whose likelihood is asked for at most; of a finer scale an even grid of so many."""
_FINE: Final = 10
"""Whole numbers of a range around each of which there is a class; a wider range has five classes."""


@dataclass(frozen=True)
class Scale:
    """What scores can be.

    Attributes:
        dimensions: name in the data → what the model reads of it, in the order of an answer.
        low, high: of the range.
        levels: the scores over which an expected value is taken, rising.
        edges: inner borders between the classes of binned accuracy, rising.
        thinks, reasons: whether most answers that are learnt have a reasoning before, and a reason after the score.
    """

    dimensions: Mapping[str, str]
    low: float
    high: float
    levels: tuple[float, ...]
    edges: tuple[float, ...]
    thinks: bool = False
    reasons: bool = False

    @property
    def span(self) -> float:
        """From the lowest score to the highest."""
        return self.high - self.low

    @property
    def decimals(self) -> int:
        """Places behind the point of a score that a head gives: the first by which a step is a 1000th of the range."""
        return max(0, 3 - math.floor(math.log10(self.span)))

    def shares(self, scores: Mapping[str, float]) -> tuple[float, ...]:
        """Scores as shares of the range, in [0, 1], one for each dimension; NaN for one that is not there."""
        return tuple((scores[name] - self.low) / self.span if name in scores else math.nan for name in self.dimensions)

    def worst(self, given: float) -> float:
        """The score that is farthest from a given one: what an answer without a score counts as."""
        return self.low if given - self.low > self.high - given else self.high


@dataclass(frozen=True)
class Wishes:
    """What the settings say of a scale.

    Attributes:
        dimensions: name → label; empty takes all that occur. low, high: equal where they are to be found.
        edges: borders between classes, or None; classes: how many equal ones, 0 for the usual.
    """

    dimensions: Mapping[str, str] = field(default_factory=dict)
    low: float = 0.0
    high: float = 0.0
    edges: tuple[float, ...] | None = None
    classes: int = 0

    def scores(self, example: Example) -> dict[str, float]:
        """The scores of a row by dimension: those that are asked for.

        Raises:
            ValueError: what stands there is no number.
        """
        found = dict(_scores(example, self.dimensions))
        return {name: found[name] for name in (self.dimensions or found) if name in found}

    def lacks(self, example: Example) -> str | None:
        """None for a row with a score that is asked for, otherwise what it lacks."""
        try:
            if self.scores(example):
                return None
            named = [name for name, _ in _scores(example, self.dimensions)]
        except ValueError:
            return f"has the score {example.answer[:40]!r}, which is no number"
        return f"scores {' and '.join(named)}, not {' or '.join(self.dimensions)}" if named else "lacks a score"

    def loose(self, example: Example) -> Scale:
        """The scale as far as one row alone tells it: its dimensions and form, without a range."""
        dimensions = {name: self.dimensions.get(name) or label_of(name) for name in self.scores(example)}
        thinks, reasons = (bool(text_of(example, name)) for name in ("think", "reason"))
        return Scale(dimensions, 0.0, 1.0, (), (), thinks, reasons)

    def scale(self, train: Sequence[Example], evaluation: Sequence[Example] = ()) -> Scale:
        """The scale of some rows: the range of both kinds, the levels of those that are learnt.

        Raises:
            ConfigError: the range is none. DataError: scores outside the range, scores that are all the same, or a
                dimension without rows.
        """
        learnt, asked = ([(row, self.scores(row)) for row in rows] for rows in (train, evaluation))
        values = [score for _, scores in (*learnt, *asked) for score in scores.values()]
        low, high = self._range(values)
        _check_inside([*learnt, *asked], low, high)
        taught = [score for _, scores in learnt for score in scores.values()] or values
        scale = Scale(self._named(learnt, asked), low, high, _levels(taught, low, high), self._edges(low, high))
        return replace(
            scale,
            thinks=_mostly(bool(text_of(row, "think")) for row in train or evaluation),
            reasons=_mostly(bool(text_of(row, "reason")) for row in train or evaluation),
        )

    def _range(self, values: Sequence[float]) -> tuple[float, float]:
        if self.low != self.high:
            if self.low > self.high:
                raise ConfigError(
                    f"scoring_low={self.low:g} is above scoring_high={self.high:g}",
                    where="-P scoring_low",
                    rule="the lowest score lies below the highest",
                )
            return float(self.low), float(self.high)
        if not values or min(values) == max(values):
            raise DataError(
                f"all {len(values)} scores are {values[0]:g}" if values else "there are no scores",
                rule="the range of the scores is found in the rows where it is not given",
                fix="set scoring_low and scoring_high",
            )
        low, high = float(math.floor(min(values))), float(math.ceil(max(values)))
        return low, high

    def _named(
        self, learnt: Sequence[tuple[Example, dict[str, float]]], asked: Sequence[tuple[Example, dict[str, float]]]
    ) -> dict[str, str]:
        sides = (("training", learnt), ("evaluation", asked))
        held = {side: {name for _, scores in rows for name in scores} for side, rows in sides}
        for name in self.dimensions:
            lacking = [side for side, rows in sides if rows and name not in held[side]]
            if lacking:
                known = ", ".join(sorted(held["training"] | held["evaluation"])) or "none"
                raise DataError(
                    f"no {' and no '.join(lacking)} row scores the dimension '{name}'",
                    where="-P scoring_dimensions",
                    rule=f"dimensions in the data: {known}",
                    fix="name a dimension that both files hold; a file of one is named after it",
                )
        return dict(self.dimensions) or {name: label_of(name) for name in sorted(held["training"] | held["evaluation"])}

    def _edges(self, low: float, high: float) -> tuple[float, ...]:
        if self.edges is not None:
            if any(not low < edge < high for edge in self.edges):
                raise ConfigError(
                    f"a border of scoring_bins lies outside {low:g} to {high:g}",
                    where="-P scoring_bins",
                    rule="borders lie within the range of the scores",
                )
            return self.edges
        if not self.classes and high - low <= _FINE and low.is_integer() and high.is_integer():
            return tuple(low + step + 0.5 for step in range(int(high - low)))
        classes = self.classes or 5
        return tuple(low + (high - low) * step / classes for step in range(1, classes))


def scores_of(shares: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scores of any shape from shares of the range: those outside [0, 1] lie at its ends."""
    scores: np.ndarray = low + (high - low) * np.clip(shares, 0.0, 1.0)
    return scores


def label_of(name: str) -> str:
    """What the model reads of a dimension that has no label."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def text_of(example: Example, name: str) -> str:
    """A reasoning (`think`) or `reason` of a row, on one line; empty without one."""
    found = example.extra.get(name)
    return " ".join(found.split()) if isinstance(found, str) else ""


def number_text(score: float) -> str:
    """A score as the model is to write it: 4, 4.67."""
    return str(score_number(repr(float(score))))


def _scores(example: Example, asked: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    several = example.extra.get("scores")
    if isinstance(several, Mapping):
        yield from ((str(name), float(score_number(str(score)))) for name, score in several.items())
    elif example.answer.strip():
        named = example.extra.get("dimension")
        usual = next(iter(asked)) if len(asked) == 1 else UNNAMED
        yield (named if isinstance(named, str) and named else usual), float(score_number(example.answer))


def _check_inside(rows: Sequence[tuple[Example, Mapping[str, float]]], low: float, high: float) -> None:
    outside = [(row, name, score) for row, scores in rows for name, score in scores.items() if not low <= score <= high]
    if outside:
        row, name, score = outside[0]
        raise DataError(
            f"{len(outside)} scores lie outside {low:g} to {high:g}, the first is {score:g} ({name})",
            where=f"row {row.id}",
            rule="every score lies from scoring_low to scoring_high, both included",
            fix="mend the rows, or set the range; with both at 0 it is found in the rows",
        )


def _levels(values: Sequence[float], low: float, high: float) -> tuple[float, ...]:
    distinct = sorted(set(values))
    if len(distinct) <= _MOST_LEVELS:
        return tuple(distinct)
    return tuple(round(low + (high - low) * step / (_MOST_LEVELS - 1), 4) for step in range(_MOST_LEVELS))


def _mostly(flags: Iterator[bool]) -> bool:
    known = list(flags)
    return 2 * sum(known) > len(known)
