"""The whole idea in one run: fine-tune, learn to predict, register, rank unseen datasets, and look who was right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.config import LAB, check, param
from predictor.progress import SILENT, Progress
from predictor.schema import RunRecord, keys
from predictor.trial.config import FinetuneConfig, finetune_config
from predictor.trial.costs import Stopwatch

if TYPE_CHECKING:
    from predictor.flows.meta import MetaResult
    from predictor.flows.promote import PromoteResult
    from predictor.tracking import TrackedRun

# What teaches: good datasets and poor ones, small and large, under several Hj. Every one has passages of its own.
_TEACHERS: tuple[tuple[str, dict[str, float]], ...] = (
    ("lab:size:dial=384:seed=101", {}),
    ("lab:size:dial=192:seed=102", {}),
    ("lab:size:dial=48:seed=103", {}),
    ("lab:size:dial=192:seed=104", {"learning_rate": 3e-4}),
    ("lab:size:dial=192:seed=105", {"lora_r": 2, "lora_alpha": 8}),
    ("lab:wrong_answers:dial=0.5:size=192:seed=106", {}),
    ("lab:wrong_answers:dial=1:size=192:seed=107", {}),
    ("lab:swapped_answers:dial=0.7:size=192:seed=108", {}),
    ("lab:truncated_answers:dial=0.9:size=192:seed=109", {}),
    ("lab:verbose_answers:dial=0.9:size=192:seed=110", {}),
    ("lab:duplicated_rows:dial=0.95:size=192:seed=111", {}),
    ("lab:wide_answers:dial=0.7:size=192:seed=112", {}),
)
# What is ranked: dials that no run above has used, and a family that none has, each with passages of its own.
_CANDIDATES = (
    "lab:size:dial=256:seed=201",
    "lab:wrong_answers:dial=0.8:size=192:seed=202",
    "lab:verbose_answers:dial=0.5:size=192:seed=203",
    "lab:foreign_characters:dial=1:size=192:seed=204",
)


@dataclass(frozen=True)
class QuickstartConfig:
    """How much of the demonstration to run."""

    base_model: str = param(LAB, "base model of every fine-tune: lab (embedded), a folder, or a hub id")
    eval_limit: int = param(250, "questions that each fine-tune is scored on", least=50, most=1000)
    seed: int = param(1, "seed of every fine-tune", least=0)

    def finetune(self, dataset: str, **hp: float) -> FinetuneConfig:
        """The fine-tune of a dataset in this demonstration: the standard setting scaled to a small model."""
        setting = {"learning_rate": 5e-3, "batch_size": 16, "epochs": 3.0, "probe_steps": 6, "dev_limit": 48, **hp}
        # Drawing dropout's random numbers takes about a quarter of a step on a CPU.
        return finetune_config(
            dataset=dataset,
            base_model=self.base_model,
            eval_limit=self.eval_limit,
            seed=self.seed,
            lora_dropout=0.0,
            **setting,
        )


@dataclass(frozen=True)
class Verdict:
    """One candidate: what was predicted before its fine-tune, and what the fine-tune then gave."""

    candidate: str
    predicted: float
    lower: float
    upper: float
    actual: float
    actual_se: float


@dataclass(frozen=True)
class QuickstartResult:
    """`taught` fine-tunes; `verdicts` in the order of the ranking; `spearman` between predicted and actual scores."""

    taught: int
    meta: MetaResult
    promotion: PromoteResult
    verdicts: tuple[Verdict, ...]
    spearman: float
    seconds: float
    run_id: str


def quickstart(config: QuickstartConfig, progress: Progress = SILENT) -> QuickstartResult:
    """Run the demonstration. Every number in its result was measured in this very run.

    Raises:
        PredictorError: whatever went wrong, with the run FAILED.
    """
    from predictor.tracking import tracked_run

    check(config)
    with tracked_run(keys.KIND_QUICKSTART, run_name="quickstart") as run:
        return _quickstart(config, run, progress)


def _quickstart(config: QuickstartConfig, run: TrackedRun, progress: Progress) -> QuickstartResult:
    import numpy as np

    from predictor.flows.finetune import finetune
    from predictor.flows.meta import MetaConfig, train_predictor
    from predictor.flows.predict import PredictConfig, Ranking, rank_candidates
    from predictor.flows.promote import PromoteConfig, promote_version
    from predictor.meta.scores import mean_absolute_error, spearman

    watch = Stopwatch()
    progress.stage("fine-tunes to learn from", len(_TEACHERS))
    taught: list[RunRecord] = []
    for dataset, hp in _TEACHERS:
        taught.append(finetune(config.finetune(dataset, **hp)))
        progress.advance(1, dataset=dataset.removeprefix("lab:"), exact_match=taught[-1].scores["exact_match"])
    # Only this demonstration's own runs: an earlier one in the same store has fine-tuned the very candidates.
    meta = train_predictor(MetaConfig(parent=run.run_id), progress)
    promotion = promote_version(PromoteConfig(version=meta.version, stage=keys.STAGE_PRODUCTION, force=True))
    asked = PredictConfig(Ranking(candidates=",".join(_CANDIDATES)), config.finetune(_CANDIDATES[0]))
    ranked = rank_candidates(asked, progress)
    progress.stage("fine-tune the candidates too", len(_CANDIDATES))
    verdicts = []
    for row in ranked.ranking.itertuples():
        actual = finetune(config.finetune(row.candidate))
        run.foretell(actual.run_id, "exact_match", row.prediction)
        scores = actual.scores
        verdicts.append(
            Verdict(
                row.candidate, row.prediction, row.lower, row.upper, scores["exact_match"], scores["exact_match_se"]
            )
        )
        progress.advance(1, dataset=row.candidate.removeprefix("lab:"), exact_match=scores["exact_match"])
    predicted, actual_scores = (np.array([getattr(v, name) for v in verdicts]) for name in ("predicted", "actual"))
    correlation = spearman(actual_scores, predicted)
    seconds = watch.total
    run.finish(
        metrics={
            f"{keys.QUICKSTART}spearman": correlation,
            f"{keys.QUICKSTART}mean_absolute_error": mean_absolute_error(actual_scores, predicted),
            f"{keys.QUICKSTART}seconds": seconds,
        }
    )
    return QuickstartResult(len(taught), meta, promotion, tuple(verdicts), correlation, seconds, run.run_id)
