"""The whole idea on a real language model and real questions, on two cores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from predictor.config import check, param, split_list
from predictor.errors import ConfigError
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.trial.costs import Stopwatch

if TYPE_CHECKING:
    from predictor.flows.main import Verdict
    from predictor.flows.meta import MetaResult
    from predictor.schema import RunRecord
    from predictor.tracking import TrackedRun

_BASE: Final = "smollm2"
_ROWS: Final = 96
"""Of each candidate: as many as of most datasets of the packaged runs."""
_HJ: Final = {"learning_rate": 1e-3, "batch_size": 4, "epochs": 1.0, "lora_dropout": 0.0, "warmup_ratio": 0.03}
"""What most of the packaged runs were trained with."""
_SCORED: Final = {"eval_limit": 150, "dev_limit": 20, "probe_steps": 6}
"""As in the packaged runs, so that all scores of the page are of the same questions."""


@dataclass(frozen=True)
class RealConfig:
    """What the demonstration runs on."""

    data: str = param("", "folder with the files that the next three name")
    train: str = param("squad/train.json", "questions in SQuAD's format, of which 128 are learnt")
    eval: str = param("squad/eval.json", "questions on which every fine-tune is scored")
    candidates: str = param(
        "candidates/qwen_500_001_ds.json,candidates/qwen_500_042_ds_poor_quality.json,"
        "candidates/qwen_500_021_ds_ch.json",
        "files that are ranked, separated by commas; the packaged runs on them are left out of what is learnt",
    )
    rows: int = param(128, "rows of the first fine-tune", least=1)
    runs: str = param("", "a .parquet file of runs to learn from; empty takes the package's set smollm2")
    model_name: str = param("real-predictor", "name under which the predictor is registered")
    seed: int = param(1, "seed of the probes and fine-tunes", least=0)


@dataclass(frozen=True)
class RealResult:
    """`first` is the fine-tune on SQuAD, `taught` the runs learnt from; `verdicts` stand in the ranking's order."""

    first: RunRecord
    taught: int
    meta: MetaResult
    objections: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    seconds: float
    run_id: str


def real(config: RealConfig, progress: Progress = SILENT) -> RealResult:
    """Fine-tune on SQuAD, rank candidates by what real fine-tunes taught, and fine-tune the best and the worst of them.

    Raises:
        ConfigError: a file is not there, the package has no runs to learn from, or fewer than two candidates are named.
        PredictorError: whatever else went wrong, with the run FAILED.
    """
    from predictor.runs import runs_path
    from predictor.tracking import tracked_run

    check(config)
    files = _files(config)
    if not config.runs:
        runs_path(_BASE)  # before half an hour is spent
    with tracked_run(keys.KIND_QUICKSTART, run_name="real") as run:
        return _real(config, files, run, progress)


def _files(config: RealConfig) -> dict[str, Path]:
    """The files by the names that were given, all of them there."""
    candidates = split_list(config.candidates)
    if len(candidates) < 2:
        raise ConfigError(f"{len(candidates)} candidates", where="-P candidates", rule="two files or more are ranked")
    if not config.data:
        raise ConfigError(
            "the folder with real data is not named",
            where="-P data",
            rule=f"a folder with {config.train}, {config.eval} and the candidates",
            fix="-P data=FOLDER (make real DATA=FOLDER); -P train, -P eval and -P candidates name other files in it",
        )
    files = {name: Path(config.data).expanduser() / name for name in (config.train, config.eval, *candidates)}
    for path in files.values():
        if not path.is_file():
            raise ConfigError(
                "there is no such file",
                where=str(path),
                rule="-P train, -P eval and -P candidates are files in the folder of -P data",
                fix="name the folder that has them, or other files",
            )
    return files


def _real(config: RealConfig, files: dict[str, Path], run: TrackedRun, progress: Progress) -> RealResult:
    from predictor.config import from_values
    from predictor.flows.finetune import finetune
    from predictor.flows.import_runs import ImportRunsConfig, import_runs
    from predictor.flows.main import put_to_the_test
    from predictor.flows.meta import MetaConfig, train_predictor
    from predictor.flows.predict import PredictConfig, rank_candidates
    from predictor.flows.promote import PromoteConfig, promote_version
    from predictor.trial.config import finetune_config

    watch = Stopwatch()
    candidates = split_list(config.candidates)
    learning = {"base_model": _BASE, "eval_dataset": str(files[config.eval]), "seed": config.seed, **_HJ}
    dataset = f"slice:size={config.rows}:{files[config.train]}"
    first = finetune(finetune_config(dataset=dataset, **learning, **_SCORED), progress)
    # Runs on the candidates themselves would tell what is to be foretold.
    without = [Path(name).name for name in candidates]
    taught_in = f"{_BASE} runs without {' and '.join(without)}"
    chosen = ImportRunsConfig(set=_BASE, file=config.runs, without=",".join(without))
    import_runs(chosen, progress, experiment=taught_in)
    meta = train_predictor(MetaConfig(experiments=taught_in, model_name=config.model_name), progress)
    # What few runs teach may not pass the gate. It is shown all the same, with what the gate says.
    promotion = promote_version(PromoteConfig(model_name=config.model_name, version=meta.version, force=True))
    asked = ",".join(f"slice:size={_ROWS}:{files[name]}" for name in candidates)
    ranked = rank_candidates(
        from_values(PredictConfig, {"candidates": asked, "model_name": config.model_name, **learning}), progress
    )
    verdicts = put_to_the_test(run, ranked, progress, only=(0, -1))
    seconds = watch.total
    run.finish(metrics={f"{keys.QUICKSTART}seconds": seconds})
    taught = sum(map(len, meta.table.run_ids))
    return RealResult(first, taught, meta, tuple(promotion.objections), verdicts, seconds, run.run_id)
