"""How many rows of each task a stage has: by a share of the data, by weights, equal, capped or by a temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from predictor.errors import ConfigError

SAMPLINGS: Final = ("proportional", "equal", "capped", "temperature")


@dataclass(frozen=True)
class Sampling:
    """How rows of several tasks are balanced. No row is taken twice.

    Attributes:
        how: `proportional` takes all there are; `equal` the same number of each; `capped` at most `cap` of each;
            `temperature` numbers in proportion to n^(1/temperature) (Arivazhagan et al. 2019, "Massively multilingual
            neural machine translation in the wild"): 1 is proportional, a large one nearly equal.
    """

    how: str = "proportional"
    cap: int = 0
    temperature: float = 1.0


def rows_of_tasks(
    available: Mapping[str, int], ratio: float, weights: Mapping[str, float] | None, sampling: Sampling, where: str
) -> dict[str, int]:
    """Task → rows of it.

    Args:
        available: task → rows that there are. ratio: share of them that the stage may take.
        weights: task → its part, which overrides the sampling; None leaves it to that.

    Raises:
        ConfigError: a task is left without a row.
    """
    held = {task: _rounded(rows * ratio) for task, rows in available.items()}
    if weights is not None:
        counts = _by_weight(held, weights)
    elif sampling.how == "equal":
        counts = dict.fromkeys(held, min(held.values()))
    elif sampling.how == "capped":
        counts = {task: min(rows, sampling.cap) for task, rows in held.items()}
    elif sampling.how == "temperature":
        counts = _by_weight(held, {task: rows ** (1.0 / sampling.temperature) for task, rows in held.items() if rows})
    else:
        counts = held
    for task, rows in counts.items():
        if not rows:
            raise ConfigError(
                f"the stage has no rows of '{task}': data_ratio={ratio:g} of {available[task]} rows",
                where=where,
                rule="each task of a stage gives a row at least",
                fix="a larger data_ratio or weight, or leave the task out of the stage",
            )
    return counts


def _rounded(number: float) -> int:
    return int(number + 0.5 + 1e-9)


def _by_weight(held: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """The largest numbers in these proportions of which each task has enough."""
    exact = {task: Fraction(weight).limit_denominator(10**6) for task, weight in weights.items()}
    scale = min((held[task] / exact[task] for task in held if task in exact), default=Fraction(0))
    return {task: _rounded(float(scale * exact[task])) if task in exact else 0 for task in held}
