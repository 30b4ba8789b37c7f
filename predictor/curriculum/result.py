"""What came of a plan of stages: scores after each stage, by task and seed, and whether the order paid."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.curriculum.stages import CONTROL, ORDERED
from predictor.curriculum.verdict import Verdict, verdict
from predictor.schema import RunRecord, keys

Panels = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]
"""Score → kind of chain → a curve over the stages for each seed."""
OVERALL = "overall"


@dataclass(frozen=True)
class CourseResult:
    """The records of all chains.

    Attributes:
        found: (kind, seed) → the record of each stage. stages: their names. verdict: of the overall score.
        by_task: the verdict of each task's headline.
    """

    found: Mapping[tuple[str, int], Sequence[RunRecord]]
    stages: Sequence[str]
    verdict: Verdict
    by_task: Mapping[str, Verdict]

    @classmethod
    def of(cls, found: Mapping[tuple[str, int], Sequence[RunRecord]], stages: Sequence[str]) -> CourseResult:
        """The result of complete chains."""
        names = _headlines(next(iter(found.values()))[-1])
        verdicts = {name: verdict(_last(found, ORDERED, name), _last(found, CONTROL, name)) for name in names}
        return cls(found, list(stages), verdicts[OVERALL], {n: v for n, v in verdicts.items() if n != OVERALL})

    def panels(self) -> Panels:
        """What a figure draws: the overall score, and each task's headline."""
        kinds = list(dict.fromkeys(kind for kind, _ in self.found))
        return {
            name: {
                kind: [
                    [r.scores.get(name, math.nan) for r in chain] for (k, _), chain in self.found.items() if k == kind
                ]
                for kind in kinds
            }
            for name in (OVERALL, *self.by_task)
        }

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows: one row for each stage of each chain."""
        names = [OVERALL, *self.by_task]
        columns = ["kind", "seed", "stage", *names, "rows", "steps", "seconds", "run_id"]
        rows = []
        for (kind, seed), chain in self.found.items():
            for stage, record in zip(self.stages, chain, strict=True):
                numbers = [_rounded(record.scores.get(name, math.nan)) for name in names]
                size = record.probe.get("dataset_size", math.nan)
                cost = [_rounded(record.costs.get(name, math.nan)) for name in ("train_steps", "total_s")]
                rows.append([kind, seed, stage, *numbers, _rounded(size), *cost, record.run_id])
        return columns, rows

    def metrics(self) -> dict[str, float]:
        """What is logged of the whole."""
        found = {"difference": self.verdict.difference, "low": self.verdict.low, "high": self.verdict.high}
        for name, of_kind in self.panels().items():
            for kind, curves in of_kind.items():
                for number, value in enumerate(np.mean(np.asarray(curves, dtype=float), axis=0), start=1):
                    found[f"{kind}/{name}/stage{number}"] = float(value)
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def lines(self) -> list[str]:
        """For a person."""
        lines = []
        for name, of_kind in self.panels().items():
            for kind, curves in of_kind.items():
                means = np.mean(np.asarray(curves, dtype=float), axis=0)
                lines.append(f"{name:<32} {kind:<11}" + "  ".join(f"{value:.3f}" for value in means))
        lines += [f"{name}: {_said(each)}" for name, each in ((OVERALL, self.verdict), *self.by_task.items())]
        return lines


def _said(found: Verdict) -> str:
    if math.isnan(found.difference):
        return found.words
    span = "" if math.isnan(found.low) else f" ({found.low:+.3f} to {found.high:+.3f}, {found.seeds} seeds)"
    return f"curriculum less control {found.difference:+.3f}{span}: {found.words}"


def _headlines(record: RunRecord) -> list[str]:
    """The overall score, and of each task the first of its fractions that higher is better of."""
    names = [name for name in record.scores if not name.endswith(keys.SE)]
    tasks = dict.fromkeys(name.split("/")[1] for name in names if "/" in name)
    wanted = ("closeness", "exact_match")
    found = []
    for task in tasks:
        own = [name for name in names if name.split("/")[1:] == [task]]
        held = [f"{each}/{task}" for each in wanted if f"{each}/{task}" in own]
        found += held[:1] or own[:1]
    return [OVERALL, *found]


def _last(found: Mapping[tuple[str, int], Sequence[RunRecord]], kind: str, name: str) -> dict[int, float]:
    return {
        seed: chain[-1].scores[name] for (k, seed), chain in found.items() if k == kind and name in chain[-1].scores
    }


def _rounded(value: float) -> float | None:
    return round(float(value), 4) if math.isfinite(value) else None
