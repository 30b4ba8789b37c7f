"""The story of an evaluation: bring the fine-tune, ask base and fine-tune the same things, judge, record, report."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.cache import cache_folder
from predictor.config import Chosen, Sectioned, check, choice, param, section, split_list
from predictor.errors import ConfigError, in_one_line
from predictor.evaluation.settings import Comparison
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.tasks import TASKS
from predictor.trial.config import FinetuneConfig, finetune_config

if TYPE_CHECKING:
    from predictor.evaluation.judging import Judge, OpenJudge
    from predictor.evaluation.pair import Pair
    from predictor.evaluation.result import Evaluated
    from predictor.evaluation.whole import Subject
    from predictor.tracking.evaluated import FinetuneRun
    from predictor.trial.materials import Materials


@dataclass(frozen=True)
class Finetuned:
    """Which fine-tune is evaluated: one of the three, or several evaluations to be compared.

    Task, limits and everything else that is not named here are as in the run.
    """

    run_id: str = param("", "run of the fine-tune; data, task and base are as it says unless they are named here")
    adapter: str = param("", "folder of an adapter instead of a run, with base_model")
    model: str = param("", "folder of a whole fine-tuned model instead of a run, with base_model")
    compare: str = param(
        "", "runs of fine-tunes that were evaluated, separated by commas: several on one page, nothing is measured"
    )
    base_model: str = param("", "base model; empty takes that of the run, or the one that the adapter's files name")
    dataset: str = param("", "data that it was trained on; empty takes those of the run")
    eval_dataset: str = param("", "data that it is scored on; empty takes those of the run")


@dataclass(frozen=True)
class EvaluateConfig(Sectioned):
    """Which fine-tune is compared with its base, and on what."""

    finetuned: Finetuned = section(Finetuned)
    task: Chosen = choice(lambda: TASKS, "qa", "what doing well means, of a fine-tune that has no run")
    comparison: Comparison = section(Comparison)


@dataclass(frozen=True)
class EvaluateResult:
    """What came of it; `evaluated` has several entries when evaluations were compared."""

    evaluated: tuple[Evaluated, ...]
    run_id: str


def evaluate(
    config: EvaluateConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> EvaluateResult:
    """Compare a fine-tune with its base, and record it as a run of kind `evaluation` linked with the fine-tune.

    Forgetting and retention are written back as scores of the fine-tune.

    Raises:
        ConfigError: not exactly one fine-tune is named, or it has a head. ModelError: its files are missing, or it is
            of another base. TrackingError: its run failed or does not exist. DataError: an original task's file cannot
            be used.
    """
    check(config)
    _check_judge(config.comparison)
    named = [name for name in ("run_id", "adapter", "model", "compare") if getattr(config.finetuned, name)]
    if len(named) != 1:
        raise ConfigError(
            f"{' and '.join(named)} are both given" if named else "no fine-tune is named",
            where="-P run_id",
            rule="one of run_id=RUN, adapter=FOLDER, model=FOLDER, compare=RUN,RUN",
        )
    if config.finetuned.compare:
        return _compare(config, experiment, tracking_uri)
    with tempfile.TemporaryDirectory(prefix="predictor-evaluate-") as folder:
        return _evaluate(config, progress, Path(folder), experiment, tracking_uri)


def after(config: FinetuneConfig) -> EvaluateConfig | None:
    """The evaluation that a fine-tune asks for at its end; None when it asks for none.

    Its files are read now, so that what is wrong with them is said before anything is trained.

    Raises:
        ConfigError, DataError: a parameter or a file of the evaluation cannot be used, or the model has a head.
    """
    from predictor.config import from_strings
    from predictor.evaluation.originals import read_originals
    from predictor.evaluation.settings import defaults_of
    from predictor.trial.sources import dataset_source

    path = config.execution.evaluation_config
    if not config.execution.evaluate:
        if path:
            raise ConfigError(
                "evaluation_config is given and evaluate is not",
                where=f"-P evaluation_config={path}",
                rule="a file with parameters of the evaluation at the end",
                fix="-P evaluate=true",
            )
        return None
    _refuse_head(config, "-P evaluate=true")
    asked = from_strings(EvaluateConfig, {"config": path} if path else {})
    for name in ("run_id", "adapter", "model", "compare", "base_model", "dataset", "eval_dataset"):
        if getattr(asked.finetuned, name):
            raise ConfigError(
                f"{name} is given for an evaluation at the end of a fine-tune",
                where=path,
                rule="its fine-tune is the one that has just ended",
                fix=f"leave {name} out",
            )
    _check_judge(asked.comparison)
    read_originals(asked.comparison, defaults_of(config.model.base_model), dataset_source)
    return asked


def evaluate_after(
    asked: EvaluateConfig, run_id: str, progress: Progress = SILENT, *, tracking_uri: str | None = None
) -> dict[str, float]:
    """Evaluate the fine-tune that has just ended.

    Whatever goes wrong is a failed evaluation and no failed fine-tune, which is recorded already: it is told, and the
    evaluation's own run is FAILED with the reason.

    Returns:
        The scores that the fine-tune has besides now.
    """
    import dataclasses

    named = dataclasses.replace(asked, finetuned=Finetuned(run_id=run_id))
    try:
        [result] = evaluate(named, progress, tracking_uri=tracking_uri).evaluated
    except Exception as error:  # a sweep must not train again what is done, for want of memory in its evaluation
        progress.note(f"WARNING: the fine-tune is recorded, its evaluation failed: {in_one_line(error)}")
        return {}
    return result.scores()


def _evaluate(
    config: EvaluateConfig, progress: Progress, folder: Path, experiment: str | None, tracking_uri: str | None
) -> EvaluateResult:
    from predictor.evaluation.memory import Memory
    from predictor.evaluation.originals import read_originals
    from predictor.evaluation.pair import load_pair
    from predictor.evaluation.settings import defaults_of
    from predictor.evaluation.whole import evaluate_pair
    from predictor.models.device import detect
    from predictor.models.shelf import borrow
    from predictor.report.evaluation_files import write_evaluation
    from predictor.tracking import tracked_run
    from predictor.tracking.evaluated import read_finetune, weights_of, write_back
    from predictor.trial.evaluated import answers_depend_on, learnt, same_base
    from predictor.trial.sources import dataset_source, ready_base

    asked = config.finetuned
    run = read_finetune(asked.run_id, folder, tracking_uri=tracking_uri) if asked.run_id else None
    with tracked_run(
        keys.KIND_EVALUATION,
        experiment=experiment or (run.experiment if run else None),
        tracking_uri=tracking_uri,
        run_name=f"evaluation of {run.name if run else Path(asked.adapter or asked.model).name}",
        params={f"{keys.EVALUATION}{name}": str(value) for name, value in config.values().items()},
        tags={keys.TAG_EVALUATES: run.record.run_id, "mlflow.parentRunId": run.record.run_id} if run else None,
    ) as tracked:
        # What is wrong with data is said before any model is loaded.
        subject, materials = _subject(config, run, progress, tracking_uri)
        trained = learnt(materials) if materials else ()
        settings, base_model = config.comparison, subject.base_model
        originals = read_originals(settings, defaults_of(base_model), dataset_source, trained)
        weights = weights_of(run.record.run_id, _folder(run), folder, tracking_uri=tracking_uri) if run else None
        loan = borrow(ready_base(base_model, progress), detect())
        pair = None
        try:
            if run is not None:
                same_base(run.record, loan.base.digest, base_model)
            parts = answers_depend_on(loan.base)
            memory = Memory(cache_folder() / "base_answers", parts) if parts else None
            pair = load_pair(loan.base, weights or Path(asked.adapter or asked.model).expanduser(), memory)
            judge = _judge(settings, base_model, pair, progress)
            result, table = evaluate_pair(pair, subject, originals, settings, progress, judge)
        finally:
            loan.give_back(pair.tuned if pair is not None and pair.is_adapter else None)
        write_evaluation(tracked.artifacts, result)
        if table is not None:
            tracked.table("rows.json", *table)
        tags = {keys.TAG_VERDICT: result.verdict, keys.TAG_RULE: result.rule, keys.TAG_COMPLETE: "true"}
        tracked.finish(metrics=result.metrics(), tags=tags)
        if run is not None:
            write_back(
                run.record.run_id,
                result.scores(),
                tracked.run_id,
                result.verdict,
                result.rule,
                tracking_uri=tracking_uri,
            )
        return EvaluateResult((result,), tracked.run_id)


def _subject(
    config: EvaluateConfig, run: FinetuneRun | None, progress: Progress, tracking_uri: str | None
) -> tuple[Subject, Materials | None]:
    """The fine-tune as far as it is known, and its data where they are."""
    from predictor.evaluation.advice import Facts
    from predictor.evaluation.pair import base_named_in
    from predictor.evaluation.whole import Subject
    from predictor.trial.evaluated import changed, config_as_run, seed_noise
    from predictor.trial.materials import gather

    asked = config.finetuned
    names = ("base_model", "dataset", "eval_dataset")
    said = {name: getattr(asked, name) for name in names if getattr(asked, name)}
    if run is None:
        folder = Path(asked.adapter or asked.model).expanduser()
        base_model = asked.base_model or base_named_in(folder)
        if not base_model:
            raise ConfigError(
                "the base model is not named", where="-P base_model", rule="the base that the fine-tune was made of"
            )
        if not asked.eval_dataset:
            progress.note("eval_dataset is not named: the task itself is not measured")
            return Subject(folder.name, base_model), None
        values = {**said, "base_model": base_model, "dataset": asked.dataset or asked.eval_dataset}
        task = {"task": config.task.name, **vars(config.task.settings)}
        # Nothing is known of a development slice that was set aside: every question may be asked.
        trial = finetune_config(**values, **task, eval_limit=0, dev_limit=0)
        materials = gather(trial)
        train = materials.train if asked.dataset else ()
        facts = Facts(rows=len(train))
        found = Subject(folder.name, base_model, "", materials.task, materials.scored, train, facts)
        return found, materials if asked.dataset else None
    trial = config_as_run(run.config, said)
    _refuse_head(trial, f"run {run.record.run_id}")
    materials = gather(trial)
    for line in changed(materials, run.record):
        progress.note(line)
    training = trial.hyperparameters.training
    facts = Facts(
        method=run.record.method,
        learning_rate=training.learning_rate,
        rows=len(materials.train),
        replay_share=trial.data.replay_share if trial.data.replay else 0.0,
        early_stopping=training.early_stopping_patience > 0,
    )
    from predictor.tracking import read_records

    others = read_records([run.experiment], tracking_uri=tracking_uri)
    found = Subject(
        title=run.name,
        base_model=trial.model.base_model,
        run_id=run.record.run_id,
        task=materials.task,
        scored=materials.scored,
        train=materials.train,
        facts=facts,
        curves=run.curves,
        seeds=seed_noise(run.record, others, materials.task.headline),
    )
    return found, materials


def _check_judge(settings: Comparison) -> None:
    from predictor.evaluation.judging import check_prompt

    if not settings.judge_prompt:
        return
    if not settings.judge:
        raise ConfigError(
            "judge_prompt is given and judge is not", where="-P judge_prompt", rule="what a judge is asked",
            fix="-P judge=NAME",
        )  # fmt: skip
    check_prompt(settings.judge_prompt)


def _judge(settings: Comparison, base_model: str, pair: Pair, progress: Progress) -> OpenJudge | None:
    """The judge, loaded before anything is measured; of the base's own name no second time."""
    from predictor.evaluation.judging import PROMPT, Judge
    from predictor.serving.opening import open_model
    from predictor.tracking.tuned import fetch_tuned

    name, prompt = settings.judge, settings.judge_prompt or PROMPT
    if not name:
        return None
    opened = open_model(name, fetch_tuned, progress) if name != base_model else None

    @contextlib.contextmanager
    def lend() -> Iterator[Judge]:
        if opened is not None:
            yield Judge(name, opened.model, opened.base.tokenizer, prompt)
            return
        with pair.untuned() as model:
            yield Judge(name, model, pair.base.tokenizer, prompt)

    return lend


def _refuse_head(config: FinetuneConfig, where: str) -> None:
    if config.has_head:
        raise ConfigError(
            "a fine-tune with a head is not compared with its base",
            where=where,
            rule="both are asked the same questions, and the base has no head to answer them",
            fix="its scores, and those of the floor beside them, stand in its own run",
        )


def _folder(run: FinetuneRun) -> str:
    from predictor.finetune.methods import METHODS

    return METHODS.get(run.record.method, where=f"run {run.record.run_id}").folder


def _compare(config: EvaluateConfig, experiment: str | None, tracking_uri: str | None) -> EvaluateResult:
    from predictor.evaluation.result import Evaluated
    from predictor.report.evaluation_report import comparison_page
    from predictor.tracking import tracked_run
    from predictor.tracking.evaluated import REPORT, read_evaluation

    runs = split_list(config.finetuned.compare)
    if len(runs) < 2:
        raise ConfigError("one run cannot be compared", where="-P compare", rule="at least two runs, with commas")
    with (
        tempfile.TemporaryDirectory(prefix="predictor-compare-") as folder,
        tracked_run(
            keys.KIND_EVALUATION,
            experiment=experiment,
            tracking_uri=tracking_uri,
            run_name=f"{len(runs)} fine-tunes compared",
            params={f"{keys.EVALUATION}compare": config.finetuned.compare},
        ) as tracked,
    ):
        stored = [read_evaluation(run_id, Path(folder), tracking_uri=tracking_uri) for run_id in runs]
        evaluated = tuple(Evaluated.from_json(each) for each in stored)
        (tracked.artifacts / REPORT).write_text(comparison_page(evaluated), encoding="utf-8")
        tracked.finish(tags={keys.TAG_COMPLETE: "true"})
        return EvaluateResult(evaluated, tracked.run_id)
