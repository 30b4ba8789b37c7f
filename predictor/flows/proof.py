"""Predictions put to the test: what was foretold of candidates, beside what their fine-tunes then gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.progress import Progress

if TYPE_CHECKING:
    from predictor.flows.predict import PredictResult
    from predictor.tracking import TrackedRun


@dataclass(frozen=True)
class Verdict:
    """One candidate: what was predicted before its fine-tune, and what the fine-tune then gave.

    `actual` and its standard error are None of a candidate that was not fine-tuned.
    """

    candidate: str
    predicted: float
    lower: float
    upper: float
    actual: float | None = None
    actual_se: float | None = None

    def line(self, width: int) -> str:
        """One row under :func:`heading`."""
        interval = f"{self.lower:.2f} to {self.upper:.2f}"
        actual = "not fine-tuned" if self.actual is None else f"{self.actual:>6.2f} ± {self.actual_se:.2f}"
        return f"  {self.candidate:<{width}} {self.predicted:>9.2f}  {interval:<15} {actual}"


def heading(width: int) -> str:
    """The head of the lines of verdicts."""
    return f"  {'candidate':<{width}} {'predicted':>9}  {'90 % interval':<15} {'actual':>6}"


def put_to_the_test(
    run: TrackedRun, ranked: PredictResult, progress: Progress, only: Sequence[int] | None = None
) -> tuple[Verdict, ...]:
    """Fine-tune ranked candidates on exact match, in the order of the ranking.

    Args:
        run: the surrounding run, which keeps what was foretold of each fine-tune.
        only: places in the ranking that are fine-tuned; None: all.

    Raises:
        PredictorError: a candidate could not be probed, or its fine-tune failed.
    """
    from predictor.errors import PredictorError
    from predictor.flows.finetune import finetune

    rows = list(ranked.ranking.itertuples())
    for row in rows:
        if row.error:
            raise PredictorError(f"a candidate could not be probed: {row.error}", where=row.candidate)
    chosen = set(range(len(rows)) if only is None else only)
    progress.stage(f"fine-tune {len(chosen)} of the candidates too", len(chosen))
    verdicts = []
    for place, row in enumerate(rows):
        foretold = (row.candidate, row.prediction, row.lower, row.upper)
        if place not in chosen:
            verdicts.append(Verdict(*foretold))
            continue
        actual = finetune(ranked.trial.replace(dataset=row.candidate))
        run.foretell(actual.run_id, "exact_match", row.prediction)
        score = actual.scores["exact_match"]
        verdicts.append(Verdict(*foretold, score, actual.scores["exact_match_se"]))
        progress.advance(1, dataset=row.candidate.removeprefix("lab:"), exact_match=score)
    return tuple(verdicts)
