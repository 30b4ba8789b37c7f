"""The whole idea in one run: learn from many fine-tunes, rank datasets that none has used, and look who was right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from predictor.config import check, param
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.trial.costs import Stopwatch

if TYPE_CHECKING:
    from predictor.flows.meta import MetaResult
    from predictor.flows.predict import PredictResult
    from predictor.flows.promote import PromoteResult
    from predictor.tracking import TrackedRun

_TAUGHT_IN: Final = "lab runs"
"""The experiment of the runs that teach: apart from the demonstration's own, which fine-tunes the very candidates."""
_HJ: Final = {"learning_rate": 5e-3, "batch_size": 16, "epochs": 3.0, "lora_r": 16, "lora_dropout": 0.0}
"""What most of the package's runs were trained with."""
_CANDIDATES: Final = (
    "lab:size:dial=256:seed=201",
    "lab:wrong_answers:dial=0.8:size=192:seed=202",
    "lab:verbose_answers:dial=0.5:size=192:seed=203",
    "lab:foreign_characters:dial=1:size=192:seed=204",
)
"""Each with passages of its own, which no run has seen."""


@dataclass(frozen=True)
class QuickstartConfig:
    """What the demonstration learns from."""

    runs: str = param("", "a .parquet file of runs to learn from; empty takes those that come with the package")
    seed: int = param(1, "seed of the candidates' probes and fine-tunes", least=0)
    force: bool = param(False, "go on although the gate refuses the predictor; recorded in its tags")


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


@dataclass(frozen=True)
class QuickstartResult:
    """`taught` runs; `verdicts` in the order of the ranking; `spearman` between predicted and actual scores."""

    taught: int
    meta: MetaResult
    promotion: PromoteResult
    verdicts: tuple[Verdict, ...]
    spearman: float
    seconds: float
    run_id: str


def quickstart(config: QuickstartConfig, progress: Progress = SILENT) -> QuickstartResult:
    """Run the demonstration: every figure of a candidate is measured in this very run.

    Raises:
        PredictorError: whatever went wrong, with the run FAILED; RegistryError when the gate refuses the predictor.
    """
    from predictor.tracking import tracked_run

    check(config)
    with tracked_run(keys.KIND_QUICKSTART, run_name="quickstart") as run:
        return _quickstart(config, run, progress)


def _quickstart(config: QuickstartConfig, run: TrackedRun, progress: Progress) -> QuickstartResult:
    import numpy as np

    from predictor.config import from_values
    from predictor.flows.import_runs import ImportRunsConfig, import_runs
    from predictor.flows.meta import MetaConfig, train_predictor
    from predictor.flows.predict import PredictConfig, rank_candidates
    from predictor.flows.promote import PromoteConfig, promote_version
    from predictor.meta.scores import mean_absolute_error, spearman

    watch = Stopwatch()
    import_runs(ImportRunsConfig(file=config.runs), progress, experiment=_TAUGHT_IN)
    meta = train_predictor(MetaConfig(experiments=_TAUGHT_IN), progress)
    promotion = promote_version(PromoteConfig(version=meta.version, force=config.force))
    asked = {"candidates": ",".join(_CANDIDATES), "seed": config.seed, **_HJ}
    ranked = rank_candidates(from_values(PredictConfig, asked), progress)
    verdicts = put_to_the_test(run, ranked, progress)
    predicted, measured = (np.array([getattr(v, name) for v in verdicts]) for name in ("predicted", "actual"))
    correlation = spearman(measured, predicted)
    seconds = watch.total
    run.finish(
        metrics={
            f"{keys.QUICKSTART}spearman": correlation,
            f"{keys.QUICKSTART}mean_absolute_error": mean_absolute_error(measured, predicted),
            f"{keys.QUICKSTART}seconds": seconds,
        }
    )
    taught = sum(map(len, meta.table.run_ids))
    return QuickstartResult(taught, meta, promotion, verdicts, correlation, seconds, run.run_id)


def put_to_the_test(
    run: TrackedRun, ranked: PredictResult, progress: Progress, only: Sequence[int] | None = None
) -> tuple[Verdict, ...]:
    """Fine-tune ranked candidates on exact match, in the order of the ranking.

    Args:
        run: the surrounding run, which keeps what was foretold of each fine-tune.
        only: places in the ranking that are fine-tuned, from the end where negative; None: all.

    Raises:
        PredictorError: a candidate could not be probed, or its fine-tune failed.
    """
    from predictor.errors import PredictorError
    from predictor.flows.finetune import finetune

    rows = list(ranked.ranking.itertuples())
    for row in rows:
        if row.error:
            raise PredictorError(f"a candidate could not be probed: {row.error}", where=row.candidate)
    chosen = rows if only is None else [rows[place] for place in only]
    progress.stage(f"fine-tune {len(chosen)} of the candidates too", len(chosen))
    verdicts = []
    for row in rows:
        foretold = (row.candidate, row.prediction, row.lower, row.upper)
        if row not in chosen:
            verdicts.append(Verdict(*foretold))
            continue
        actual = finetune(ranked.trial.replace(dataset=row.candidate))
        run.foretell(actual.run_id, "exact_match", row.prediction)
        score = actual.scores["exact_match"]
        verdicts.append(Verdict(*foretold, score, actual.scores["exact_match_se"]))
        progress.advance(1, dataset=row.candidate.removeprefix("lab:"), exact_match=score)
    return tuple(verdicts)
