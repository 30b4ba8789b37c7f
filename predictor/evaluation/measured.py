"""What was measured of a fine-tune beside its base, part by part."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from predictor.evaluation.paired import Paired, significant_among
from predictor.evaluation.shift import Manner


@dataclass(frozen=True)
class TaskResult:
    """The fine-tune's own task.

    Attributes:
        task, headline: names. scores: each target, the headline first. higher_is_better: of the headline.
        point: what one point of the headline is in its unit.
        divergence: KL(base ‖ tuned) per token of the right answers, in nats; NaN where it cannot be measured.
        losses: nats per token of the right answers, of base and tuned.
        manner: of both models' answers.
        sense: of a judge whose marks stand among the scores, how often it tells a right answer from another row's.
    """

    task: str
    headline: str
    scores: Mapping[str, Paired]
    higher_is_better: bool
    point: float
    divergence: float
    losses: tuple[float, float]
    manner: tuple[Manner, Manner]
    sense: float = math.nan

    @property
    def score(self) -> Paired:
        """The headline."""
        return self.scores[self.headline]


@dataclass(frozen=True)
class OriginalResult:
    """One task that the base could do.

    Attributes:
        score: in [0, 1], higher is better: what forgetting is counted in. metric: what it is.
        details: further numbers, `<name>_base` and `<name>_tuned`.
        divergence: KL(base ‖ tuned) per token, in nats; NaN where it was not measured.
        manner: of answers, where any were generated.
    """

    name: str
    kind: str
    metric: str
    score: Paired
    details: Mapping[str, float] = field(default_factory=dict)
    divergence: float = math.nan
    manner: tuple[Manner, Manner] | None = None


@dataclass(frozen=True)
class Subject:
    """Knowledge questions of one subject: `n`, how many each model had right, and how many both had."""

    name: str
    n: int
    base: int
    tuned: int
    both: int

    @property
    def retention(self) -> float:
        """Share of those that the base had right which the fine-tune still has; NaN of none."""
        return self.both / self.base if self.base else math.nan

    @property
    def error(self) -> float:
        """Standard error of it, √(p(1 − p)/n); NaN of none.

        p has one kept and one lost question added, so that a few questions which were all kept have an error too
        (Agresti and Coull 1998, Approximate Is Better than "Exact").
        """
        p = (self.both + 1.0) / (self.base + 2.0)
        return math.sqrt(p * (1.0 - p) / self.base) if self.base else math.nan


@dataclass(frozen=True)
class Retention:
    """Knowledge questions of all subjects together, and each subject."""

    whole: Subject
    subjects: tuple[Subject, ...]

    @property
    def gained(self) -> int:
        """Questions that only the fine-tune has right."""
        return self.whole.tuned - self.whole.both

    @property
    def lost(self) -> int:
        """Questions that only the base had right."""
        return self.whole.base - self.whole.both


def forgetting_of(originals: Sequence[OriginalResult]) -> tuple[float, float]:
    """Mean loss of score over original tasks and its standard error; NaN of none."""
    if not originals:
        return math.nan, math.nan
    lost = sum(-original.score.gain for original in originals) / len(originals)
    error = math.sqrt(sum(original.score.se**2 for original in originals)) / len(originals)
    return lost, error


def lost_beyond(originals: Sequence[OriginalResult], limit: float) -> list[OriginalResult]:
    """Original tasks that lost more than `limit` points, by more than their noise; all are looked at together."""
    sure = significant_among([original.score.p for original in originals])
    return [
        original
        for original, significant in zip(originals, sure, strict=True)
        if significant and -100.0 * original.score.gain > max(limit, 100.0 * original.score.floor)
    ]
