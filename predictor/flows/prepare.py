"""The story of one dataset at the desk: read, validate, check, split, write, record."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictor.config import check, param, shortened
from predictor.errors import ConfigError, DataError
from predictor.progress import SILENT, Progress
from predictor.schema import keys
from predictor.trial.sources import dataset_source, ready_base

if TYPE_CHECKING:
    from predictor.data.example import Example, Message
    from predictor.data.preflight import EvaluationIndex, Measure, Preflight
    from predictor.data.preparing import Prepared
    from predictor.tracking import TrackedRun

_LOGGED_BYTES = 64 << 20
_SUMMARY_METRICS = ("rows", "accepted", "rejected")


@dataclass(frozen=True)
class PrepareConfig:
    """What the desk reads, what it asks of the rows, and where it writes."""

    input: str = param("", "the dataset: a file, a folder, a hub id, lab:FAMILY:…, or spoil:, mix: or slice: of these")
    output: str = param("outputs/prepared", "folder for the data, rejected.jsonl, report.json and report.html")
    format: str = param("auto", "dataset format; auto tells it from the content")
    task: str = param("auto", "refuse rows that this task cannot use; auto refuses none")
    drop_bad: bool = param(False, "go on without the refused rows; false writes the report and stops")
    base_model: str = param("", "base model whose tokenizer measures lengths; empty leaves token lengths out")
    max_length: int = param(0, "tokens of prompt and completion together; 0 sets no limit", least=0)
    eval_dataset: str = param("", "evaluation data to look for overlap with; empty leaves overlap out")
    validation_fraction: float = param(
        0.15, "share of the rows for validation, unless the source has such a split", least=0.0, most=0.9
    )
    seed: int = param(42, "draws the validation split", least=0)
    file_type: str = param("jsonl", "kind of the data files", choices=("jsonl", "parquet"))
    preflight: bool = param(True, "measure repetition, overlap, answers, labels, languages and lengths")
    near_threshold: float = param(0.8, "Jaccard similarity from which texts are near-duplicates", above=0.0, most=1.0)
    near_rows: int = param(20_000, "rows among which near-duplicates are looked for; 0 looks at all", least=0)
    max_masked: float = param(0.0, "largest share of rows whose completion is wholly cut off", least=0.0, most=1.0)
    max_cut: float = param(0.05, "largest share of rows whose completion is cut", least=0.0, most=1.0)
    max_duplicates: float = param(0.5, "largest share of exact repeats", least=0.0, most=1.0)
    max_near_duplicates: float = param(0.8, "largest share of near repeats", least=0.0, most=1.0)
    max_eval_prompts: float = param(0.01, "largest share of rows with a prompt of eval_dataset", least=0.0, most=1.0)
    max_eval_contexts: float = param(0.1, "largest share of rows with a passage of eval_dataset", least=0.0, most=1.0)
    max_same_answer: float = param(0.9, "largest share of the commonest answer", least=0.0, most=1.0)
    max_empty_answers: float = param(0.7, "largest share of unanswerable rows", least=0.0, most=1.0)
    max_one_label: float = param(0.95, "largest share of the commonest label", least=0.0, most=1.0)


def prepare(
    config: PrepareConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> Prepared:
    """Take a dataset through the desk, as one MLflow run with the report and (up to 64 MiB) the data as artifacts.

    Raises:
        PredictorError: the source cannot be read; or rows were refused or pre-flight failed, in which case report.json,
            report.html and rejected.jsonl are written and the data are not.
    """
    from predictor.tracking import tracked_run

    check(config)
    if not config.input:
        raise ConfigError(
            "no dataset was named", where="-P input", rule="a file, a folder or a hub id", fix="-P input=data.jsonl"
        )
    name = f"prepare {shortened(config.input.rstrip('/'))}"
    with tracked_run(keys.KIND_PREPARE, experiment=experiment, tracking_uri=tracking_uri, run_name=name) as run:
        prepared = _prepare(config, progress)
        _record(run, config, prepared)
        if prepared.faults:
            raise DataError(
                "; ".join(prepared.faults),
                where="; ".join([config.input, *prepared.report["first_rejections"]]),
                rule="all rows accepted and every figure within its threshold (each is a parameter)",
                fix=f"see {Path(config.output) / 'report.html'} and rejected.jsonl; drop_bad=true goes on without the "
                "refused rows, a larger max_length cuts fewer",
            )
        return prepared


def _prepare(config: PrepareConfig, progress: Progress) -> Prepared:
    from predictor.data.preflight import Thresholds
    from predictor.data.preparing import Settings, prepare
    from predictor.tasks import TASKS

    accepts = None if config.task == "auto" else TASKS.get(config.task, where="-P task").accepts
    settings = Settings(
        format=config.format,
        drop_bad=config.drop_bad,
        validation_fraction=config.validation_fraction,
        seed=config.seed,
        suffix=f".{config.file_type}",
        accepts=accepts,
        thresholds=Thresholds(**{name: getattr(config, name) for name in Thresholds.__dataclass_fields__}),
    )
    source, preflight = dataset_source(config.input), _preflight(config, progress)
    progress.stage("rows")
    return prepare(source, Path(config.output), settings, preflight, progress.advance)


def _preflight(config: PrepareConfig, progress: Progress) -> Preflight | None:
    from predictor.data.preflight import Preflight

    if not config.preflight:
        return None
    return Preflight(
        measure=_measure(config, progress),
        max_length=config.max_length,
        evaluation=_evaluation(config, progress),
        near_threshold=config.near_threshold,
        near_rows=config.near_rows,
    )


def _evaluation(config: PrepareConfig, progress: Progress) -> EvaluationIndex | None:
    from predictor.data import load
    from predictor.data.preflight import EvaluationIndex

    if not config.eval_dataset:
        return None
    evaluation = load(dataset_source(config.eval_dataset), drop_bad=True, limit_rejections=0)
    if evaluation.rejected:
        progress.note(
            f"{evaluation.rejected} of {evaluation.rows} rows of {config.eval_dataset} cannot be compared with"
        )
    return EvaluationIndex(evaluation.examples, config.near_threshold, config.near_rows)


def _measure(config: PrepareConfig, progress: Progress) -> Measure | None:
    from predictor.data.preflight import token_measure

    if not config.base_model:
        if config.max_length:
            raise ConfigError(
                f"max_length={config.max_length} without a base model",
                where="-P base_model",
                rule="lengths are measured by the tokenizer of a base model",
                fix="-P base_model=lab, another name, a folder or a hub id",
            )
        return None
    tokenizer = _tokenizer(config.base_model, progress)
    if config.task != "auto":
        from predictor.models.render import row_lengths
        from predictor.tasks import TASKS

        return row_lengths(TASKS.get(config.task, where="-P task"), tokenizer)
    return token_measure(tokenizer, *_wording())


def _tokenizer(name: str, progress: Progress) -> Any:
    from predictor.models.base_model import load_tokenizer

    return load_tokenizer(ready_base(name, progress))


def _wording() -> tuple[Callable[[Example], Sequence[Message]], Callable[[Example], str]]:
    """How a row is put to the model where no task says it: as its own turns."""
    from predictor.data.formats.messages import prompt_turns

    return prompt_turns, lambda example: example.label if example.label is not None else example.answer


def _record(run: TrackedRun, config: PrepareConfig, prepared: Prepared) -> None:
    report, output = prepared.report, Path(config.output)
    names = ["report.json", "report.html", "rejected.jsonl"]
    data = list(report.get("outputs", {}))
    if sum((output / name).stat().st_size for name in data) <= _LOGGED_BYTES:
        names += data
    for name in names:
        shutil.copyfile(output / name, run.artifacts / name)
    run.finish(
        metrics={f"{keys.DATA}{name}": float(report[name]) for name in _SUMMARY_METRICS},
        tags={
            keys.TAG_DATASET: config.input,
            keys.TAG_FINGERPRINT: report["fingerprint"],
            keys.TAG_FORMAT: report["format"],
            **({} if prepared.faults else {keys.TAG_COMPLETE: "true"}),
        },
    )
