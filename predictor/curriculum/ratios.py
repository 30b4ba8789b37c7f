"""From shares of a dataset to fine-tunes, and from their records to points of a curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from predictor.config import split_list
from predictor.curriculum.curve import Point, point
from predictor.curriculum.plan import check_ratio
from predictor.curriculum.settled import settled_settings
from predictor.data import load
from predictor.errors import ConfigError, DataError, TrainingError
from predictor.schema import RunRecord, keys
from predictor.schema.targets import Target
from predictor.tasks import configured
from predictor.trial.config import FinetuneConfig
from predictor.trial.sources import dataset_source


@dataclass(frozen=True)
class Share:
    """One share with one seed: the fine-tune, how many rows it names, and of which dataset (`whole`)."""

    ratio: float
    rows: int
    seed: int
    config: FinetuneConfig
    whole: str

    @property
    def title(self) -> str:
        """What the UI calls its run."""
        return f"{self.ratio:.0%} of {self.whole} s{self.seed}"

    def require(self, status: str, message: str) -> None:
        """Raise TrainingError unless its run is complete."""
        if status not in ("finished", "done"):
            raise TrainingError(
                f"the fine-tune '{self.title}' is {status}: {message or 'another process trains it'}",
                rule="a curve has all of its points",
                fix="start again: what is done is kept",
            )


def shares_of(ratios: str, seeds: str, config: FinetuneConfig) -> list[Share]:
    """Every share with every seed; of one seed the smaller shares are among the larger.

    Raises:
        ConfigError: a ratio outside (0, 1], fewer than two of them, one twice, or a seed that is no whole number.
            DataError: the dataset cannot be read, or a share of it has no row.
    """
    chosen = sorted(check_ratio(text, "-P ratios") for text in split_list(ratios))
    numbers = [int(text) if text.isascii() and text.isdecimal() else -1 for text in split_list(seeds)]
    if len(set(chosen)) < max(2, len(chosen)):
        raise ConfigError(
            f"ratios={ratios} make no curve", where="-P ratios", rule="two or more, each once, such as 0.5,1"
        )
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise ConfigError(
            f"seeds={seeds} are none", where="-P seeds", rule="whole numbers separated by commas, each once"
        )
    fields = getattr(configured(config.task.name, config.task.settings), "fields", None)
    train, evaluation = (
        load(dataset_source(name), drop_bad=True, fields=fields).examples
        for name in (config.data.dataset, config.evaluation.eval_dataset)
    )
    held = len(train)
    told = dict(vars(config.task.settings))
    settled = settled_settings(config.task.name, told, train, evaluation)
    found = []
    for ratio in chosen:
        rows = int(ratio * held + 0.5 + 1e-9)
        if not rows:
            raise DataError(
                f"the ratio {ratio:g} of {held} rows is no row", where="-P ratios", rule="each share has a row at least"
            )
        for seed in numbers:
            name = config.data.dataset if rows == held else f"slice:size={rows}:seed={seed}:{config.data.dataset}"
            found.append(
                Share(ratio, rows, seed, config.replace(dataset=name, seed=seed, **settled), config.data.short_name)
            )
    return found


def points_of(found: Sequence[tuple[Share, RunRecord]], target: Target, said: Sequence[float]) -> list[Point]:
    """One point for each share, over its seeds; rows are those that the features counted, where they did."""
    points = []
    for ratio in dict.fromkeys(share.ratio for share, _ in found):
        places = [place for place, (share, _) in enumerate(found) if share.ratio == ratio]
        records = [found[place][1] for place in places]
        points.append(
            point(
                ratio,
                found[places[0]][0].rows,
                [record.scores[target.name] for record in records],
                [record.scores.get(target.name + keys.SE, float("nan")) for record in records],
                [record.costs["total_s"] for record in records],
                [said[place] for place in places] if said else (),
            )
        )
    return points


def features_of(record: RunRecord) -> dict[str, Any]:
    """A run as a row of features."""
    hp = {f"{keys.HP}{name}": value for name, value in record.hp.items()}
    return hp | {f"{keys.PROBE}{name}": value for name, value in record.probe.items()}
