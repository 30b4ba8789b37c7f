"""The whole idea in one run: learn from many fine-tunes, rank datasets that none has used, and look who was right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from predictor.config import check, param
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.trial.costs import Stopwatch

if TYPE_CHECKING:
    from predictor.flows.meta import MetaResult
    from predictor.flows.promote import PromoteResult
    from predictor.flows.proof import Verdict
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
    from predictor.flows.proof import put_to_the_test
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
