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
        """The recipe alone, without where to write and when to leave."""
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
    from predictor.lab.reading import reading_scores
    from predictor.tracking import tracked_run

    check(config)
    folder = Path(config.output)
    params = {f"{keys.RECIPE}{name}": str(value) for name, value in dataclasses.asdict(config.recipe).items()}
    with tracked_run(_KIND, experiment=experiment, tracking_uri=tracking_uri, run_name=_KIND, params=params) as run:
        last = config.stop_after or config.steps
        progress.stage("pretrain", last)

        def on_log(step: int, steps: int, values: Mapping[str, float]) -> None:
            run.curve(step, {f"{keys.TRAIN}{name}": value for name, value in values.items()})
            progress.advance(steps, loss=values["loss"], right=values["value_accuracy"], level=values["level"])

        numbers = teach(config.recipe, folder, on_log, last)
        progress.stage("read")
        scores = reading_scores(folder)
        write_card(folder, config.recipe, numbers, scores)
        run.finish(metrics={f"{keys.SCORE}{name}": value for name, value in scores.items()})
    return {**numbers, **scores}
