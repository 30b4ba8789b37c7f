"""The story of a merge: fetch the tuned weights, merge them where they were trained, compare, register."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictor.config import check, param, split_list
from predictor.errors import ConfigError
from predictor.progress import SILENT, Progress
from predictor.schema import keys

if TYPE_CHECKING:
    from predictor.serving.merge import Combination, Merged
    from predictor.serving.opening import Weights
    from predictor.serving.subjects import Subject


@dataclass(frozen=True)
class MergeConfig:
    """What is merged, where it is written, and what it must keep to."""

    run_id: str = param("", "fine-tune whose weights are merged; several, separated by commas, are weighted")
    adapter: str = param("", "folder of an adapter instead of a run; several, separated by commas, are weighted")
    base_model: str = param("", "base model of the adapter; empty takes the one that the fine-tune recorded")
    output: str = param("", "folder for the merged model")
    dtype: str = param(
        "auto", "type of the files; auto takes the base's own", choices=("auto", "float32", "bfloat16", "float16")
    )
    prompts: str = param("", "dataset of prompts or texts for the comparison; empty takes the run's evaluation data")
    prompt_limit: int = param(50, "prompts or texts for the comparison", least=1)
    max_new_tokens: int = param(32, "tokens of an answer in the comparison", least=1)
    max_difference: float = param(1e-3, "largest difference of logits that is let pass", least=0.0)
    least_equal: float = param(1.0, "smallest share of equal answers or labels that is let pass", least=0.0, most=1.0)
    weights: str = param("", "weight of each adapter, separated by commas; empty gives each 1 / their number")
    combination: str = param(
        "linear",
        "how peft combines several adapters",
        choices=(
            "linear", "cat", "svd", "ties", "ties_svd", "dare_linear", "dare_ties", "dare_linear_svd", "dare_ties_svd",
            "magnitude_prune", "magnitude_prune_svd",
        ),
    )  # fmt: skip
    density: float = param(0.5, "share of values that ties, dare and magnitude_prune keep", above=0.0, most=1.0)
    overwrite: bool = param(False, "replace what the output folder holds")
    register: str = param("", "name under which the model is registered in MLflow; empty registers nothing")


@dataclass(frozen=True)
class MergeOutcome:
    """A merged model, its run, and its number in the registry (0 when it was not registered)."""

    merged: Merged
    run_id: str
    version: int


def merge(
    config: MergeConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> MergeOutcome:
    """Merge adapters into their base, as one MLflow run with parity and card as artifacts.

    Raises:
        PredictorError: no such run or folder, another base, or a limit of the comparison is broken. Then the output
            folder is as it was before.
    """
    from predictor.models.device import detect
    from predictor.serving.merge import PARITY, Limits
    from predictor.serving.merge import merge as merge_weights
    from predictor.tracking import tracked_run

    check(config)
    combination = _combination(config)
    name = f"merge {config.run_id or config.adapter}"
    with tracked_run(keys.KIND_MERGE, experiment=experiment, tracking_uri=tracking_uri, run_name=name[:200]) as run:
        parts, told = _parts(config)
        subject = _subject(config, parts, progress)
        merged = merge_weights(
            parts,
            Path(config.output),
            subject,
            device=detect(),
            base_model=config.base_model,
            dtype=config.dtype,
            combination=combination,
            limits=Limits(config.max_difference, config.least_equal),
            told=told,
            replace=config.overwrite,
            progress=progress,
        )
        for file in (PARITY, "README.md"):
            shutil.copyfile(merged.folder / file, run.artifacts / file)
        version = 0
        if config.register:
            from predictor.models.base_model import load_tokenizer
            from predictor.registry.language_model import register_language_model

            progress.stage("register")
            version = register_language_model(
                merged.folder, load_tokenizer(str(merged.folder)), run.run_id, config.register
            )
        figures = {f"merge_{key}": value for key, value in merged.parity.to_json().items()}
        figures |= {f"written_{key}": value for key, value in merged.written.to_json().items()}
        run.finish(
            metrics={f"{keys.MERGE}{key}": float(value) for key, value in figures.items()},
            tags={keys.TAG_BASE_MODEL: merged.base_model, keys.TAG_COMPLETE: "true"},
        )
        return MergeOutcome(merged, run.run_id, version)


def _combination(config: MergeConfig) -> Combination:
    from predictor.serving.merge import combination_of

    if bool(config.run_id) == bool(config.adapter):
        raise ConfigError(
            "one of run_id and adapter is needed" if not config.run_id else "run_id and adapter exclude each other",
            where="-P run_id, -P adapter",
            rule="a fine-tune of the tracking store, or the folder of an adapter",
            fix="-P run_id=RUN, or -P adapter=FOLDER",
        )
    if not config.output:
        raise ConfigError("no output was named", where="-P output", rule="a folder", fix="-P output=outputs/merged")
    number = len(split_list(config.run_id or config.adapter))
    return combination_of(config.weights, number, config.combination, config.density)


def _parts(config: MergeConfig) -> tuple[list[Weights], dict[str, Any]]:
    """The weights that are merged, and what the first run tells of itself for the card."""
    from predictor.serving.opening import weights_of_folder, weights_of_run
    from predictor.tracking.tuned import card_lines, fetch_tuned

    if config.adapter:
        return [weights_of_folder(Path(folder).expanduser()) for folder in split_list(config.adapter)], {}
    runs = split_list(config.run_id)
    return [weights_of_run(run, fetch_tuned) for run in runs], card_lines(fetch_tuned(runs[0]).record)


def _subject(config: MergeConfig, parts: list[Weights], progress: Progress) -> Subject:
    """The kind of model that is merged, and what it is asked before and after."""
    from predictor.models.classifier import is_classifier, read_saved
    from predictor.serving.questions import questions_for
    from predictor.serving.rows import texts_for
    from predictor.serving.subjects import LINEAR, Reader, Writer, refuse_several

    folder = parts[0].folder
    if not is_classifier(folder):
        found = questions_for(parts[0], config.prompts, config.prompt_limit)
        progress.note(f"compared on {len(found.questions)} prompts of {found.source}")
        return Writer(found.questions, config.max_new_tokens)
    refuse_several(parts)
    if config.register:
        raise ConfigError(
            "a classifier cannot be registered as a chat model",
            where=f"-P register={config.register}",
            rule="what is registered is served as llm/v1/chat, by a model that writes",
            fix="leave register out",
        )
    found, saved = texts_for(parts[0], config.prompts, config.prompt_limit), read_saved(folder)
    progress.note(f"compared on {len(found.questions)} texts of {found.source}")
    if saved.head != LINEAR:
        progress.note(f"WARNING: plain transformers knows no head {saved.head}: the model card says how it is loaded")
    return Reader(found.questions, saved)
