"""The story of the base model: learn to read generated text, score, describe, record."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from predictor.config import check, param
from predictor.lab.recipe import Recipe
from predictor.progress import SILENT, Progress
from predictor.schema import keys

_KIND = "pretrain"


@dataclass(frozen=True)
class PretrainConfig(Recipe):
    """The recipe of the base model, and where to write it."""

    stop_after: int = param(0, "leave after this step, to go on later; 0 runs to the end", least=0)
    output: str = param("lab_base", "folder for the model; a checkpoint in it is gone on from")

    @property
    def recipe(self) -> Recipe:
        return Recipe(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Recipe)})


def pretrain(
    config: PretrainConfig,
    progress: Progress = SILENT,
    *,
    experiment: str | None = None,
    tracking_uri: str | None = None,
) -> dict[str, float]:
    """Train the lab's base model into `output` and record the run with its curve.

    Returns:
        The last training numbers and the reading scores (fractions).

    Raises:
        TrainingError: the loss is not finite, or `output` holds a checkpoint of another recipe.
    """
    from predictor.lab.model_card import write_card
    from predictor.lab.pretraining import pretrain as teach
    from predictor.tracking import tracked_run

    check(config)
    folder = Path(config.output)
    params = {f"recipe/{name}": str(value) for name, value in dataclasses.asdict(config.recipe).items()}
    with tracked_run(_KIND, experiment=experiment, tracking_uri=tracking_uri, run_name=_KIND, params=params) as run:
        last = config.stop_after or config.steps
        progress.stage("pretrain", last)
        done = 0

        def on_log(step: int, values: Mapping[str, float]) -> None:
            nonlocal done
            run.curve(step, {f"{keys.TRAIN}{name}": value for name, value in values.items()})
            progress.advance(step - done, loss=values["loss"], right=values["value_accuracy"], level=values["level"])
            done = step

        numbers = teach(config.recipe, folder, on_log, last)
        progress.stage("read")
        scores = reading_scores(folder)
        write_card(folder, config.recipe, numbers, scores)
        run.finish(metrics={f"{keys.SCORE}{name}": value for name, value in scores.items()})
    return {**numbers, **scores}


def reading_scores(folder: Path, progress: Progress = SILENT) -> dict[str, float]:
    """How the base model in `folder` answers the lab's evaluation without any fine-tune, as fractions.

    `exact_match` and `f1` score the answers as they are; `contains` is the share whose text holds the wanted value, so
    it measures reading apart from style, and `contains_met` is that over the questions of a kind met in pretraining.
    """
    from predictor.finetune.base_model import load_base_model
    from predictor.finetune.device import detect
    from predictor.flows.evaluation import evaluate
    from predictor.lab.relations import BY_NAME
    from predictor.lab.specification import evaluation_examples
    from predictor.tasks import TASKS

    examples = evaluation_examples()
    base = load_base_model(str(folder), detect())
    evaluation = evaluate(base.model, base, TASKS.get("qa"), examples, progress)
    found = [example.answer in answer for example, answer in zip(examples, evaluation.answers, strict=True)]
    met = [
        hit
        for hit, example in zip(found, examples, strict=True)
        if example.extra["phrasing"] < BY_NAME[example.extra["relation"]].met
    ]
    return {**evaluation.scores.values, "contains": sum(found) / len(found), "contains_met": sum(met) / len(met)}
