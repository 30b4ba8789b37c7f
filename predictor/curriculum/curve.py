"""A score against numbers of rows: means and errors, the smallest share that does, cost against benefit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.curriculum.law import Law, fit_law
from predictor.errors import TableError
from predictor.schema.targets import Target


@dataclass(frozen=True)
class Point:
    """One share of the data, over its seeds.

    Attributes:
        score: mean. error: its standard error, of seeds and questions together. seconds: mean of a fine-tune.
        predicted: mean of what the registered predictor said; NaN where it was not asked.
    """

    ratio: float
    rows: int
    score: float
    error: float
    seconds: float
    seeds: int
    predicted: float = math.nan


@dataclass(frozen=True)
class Curve:
    """What shares of the data bring.

    Attributes:
        points: the smallest first. law: through all of them; None where none can be fitted.
        foretold: the largest share as the law of the smaller ones says it, with its interval; None without such a law.
        enough: the smallest share within one standard error of the best.
        hour: points that the next hour of training on more rows like these would bring, by the law; NaN without one.
        double: what twice the rows would bring, with its interval; None without a law.
    """

    target: Target
    points: tuple[Point, ...]
    law: Law | None
    foretold: tuple[float, float, float] | None
    enough: Point
    hour: float
    double: tuple[float, float, float] | None

    @property
    def holds(self) -> bool | None:
        """Whether the largest share lies in the interval that the smaller ones foretold; None where nothing did."""
        return None if self.foretold is None else self.foretold[1] <= self.points[-1].score <= self.foretold[2]

    def steps(self) -> list[tuple[Point, Point, float]]:
        """Neighbours with the points that an hour of the difference in cost brings, NaN where it costs nothing more."""
        return [(a, b, _by_hour(self.target, b.score - a.score, b.seconds - a.seconds)) for a, b in _pairs(self.points)]

    def lines(self) -> list[str]:
        """For a person."""
        target, last = self.target, self.points[-1]
        text = target.text
        found = []
        for p in self.points:
            said = f", predicted {text(p.predicted)}" if math.isfinite(p.predicted) else ""
            score = f"{text(p.score)} ± {text(p.error)} {target.points}"
            found.append(f"{p.ratio:>6.0%} of the data, {p.rows} rows: {score}, {p.seconds:.0f} s{said}")
        found.append(f"enough: {self.enough.ratio:.0%} ({self.enough.rows} rows) is within one error of the best")
        if self.foretold is not None:
            said, low, high = map(text, self.foretold)
            hit = "inside" if self.holds else "outside"
            found.append(f"the smaller shares foretell {said} ({low} to {high}) of all: {text(last.score)} lies {hit}")
        if self.law is not None and self.double is not None:
            said, low, high = map(text, self.double)
            found.append(f"twice the rows: {said} ({low} to {high}), extrapolated; exponent {self.law.exponent:.2f}")
            found.append(f"the next hour of training on more rows: {self.hour:+.3g} {target.points}, extrapolated")
        else:
            found.append("no law: too few sizes")
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        law = None if self.law is None else {n: getattr(self.law, n) for n in ("limit", "scale", "exponent", "sizes")}
        return {
            "target": self.target.name,
            "points": [{n: _plain(v) for n, v in vars(point).items()} for point in self.points],
            "law": law,
            "foretold": self.foretold,
            "holds": self.holds,
            "enough": self.enough.ratio,
            "points_for_the_next_hour": _plain(self.hour),
            "double": self.double,
            "points_an_hour": [_plain(each) for *_, each in self.steps()],
        }


def point(
    ratio: float, rows: int, scores: Sequence[float], errors: Sequence[float], seconds: Sequence[float],
    predicted: Sequence[float] = (),
) -> Point:  # fmt: skip
    """One share from its seeds. The same questions are asked of every seed, so that their error does not shrink."""
    asked = np.asarray([error for error in errors if math.isfinite(error)], dtype=float)
    questions = float((asked**2).mean()) if len(asked) else 0.0
    between = float(np.var(scores, ddof=1) / len(scores)) if len(scores) > 1 else 0.0
    error = math.sqrt(questions + between)
    mean = float(np.mean(predicted)) if len(predicted) else math.nan
    return Point(ratio, rows, float(np.mean(scores)), error, float(np.mean(seconds)), len(scores), mean)


def curve_of(points: Sequence[Point], target: Target) -> Curve:
    """The curve through the points of different shares."""
    ordered = tuple(sorted(points, key=lambda each: each.rows))
    best = max(ordered, key=lambda each: target.sign * each.score)
    enough = next(p for p in ordered if target.sign * (best.score - p.score) <= best.error)
    law = _law(ordered, target)
    smaller = _law(ordered[:-1], target)
    last = ordered[-1]
    return Curve(
        target,
        ordered,
        law,
        None if smaller is None else (smaller.at(last.rows), *smaller.interval(last.rows)),
        enough,
        math.nan if law is None else _next_hour(ordered, law, target),
        None if law is None else (law.at(2 * last.rows), *law.interval(2 * last.rows)),
    )


def metrics_of(curve: Curve) -> Mapping[str, float]:
    """What is logged of a curve, NaN left out."""
    found = {"enough": curve.enough.ratio, "best": max(curve.points, key=lambda p: curve.target.sign * p.score).ratio}
    if curve.law is not None:
        found |= {"exponent": curve.law.exponent, "limit": curve.law.limit, "points_next_hour": curve.hour}
    if curve.foretold is not None:
        found |= {"foretold": curve.foretold[0], "law_holds": float(bool(curve.holds))}
    for each in curve.points:
        found |= {f"score_{each.ratio:g}": each.score, f"error_{each.ratio:g}": each.error}
    return {name: value for name, value in found.items() if math.isfinite(value)}


def _law(points: Sequence[Point], target: Target) -> Law | None:
    try:
        return fit_law([p.rows for p in points], [p.score for p in points], [p.error for p in points], target)
    except TableError:
        return None


def _next_hour(points: Sequence[Point], law: Law, target: Target) -> float:
    """By the seconds that a further row takes, which a line through the points tells."""
    slope = float(np.polyfit([p.rows for p in points], [p.seconds for p in points], 1)[0])
    if slope <= 0:
        return math.nan
    last = points[-1].rows
    return target.sign * (law.at(last + 3600.0 / slope) - law.at(last)) / target.point


def _by_hour(target: Target, gain: float, seconds: float) -> float:
    return target.sign * gain / target.point / (seconds / 3600.0) if seconds > 0 else math.nan


def _pairs(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    return list(itertools.pairwise(points))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
