"""Everything that came of an evaluation, as plain values: for metrics, files, the page, and comparisons of several."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from predictor.evaluation.advice import Advice
from predictor.evaluation.measured import OriginalResult, Retention, Subject, TaskResult, forgetting_of
from predictor.evaluation.overfitting import Overfitting
from predictor.evaluation.paired import Paired
from predictor.evaluation.shift import Manner
from predictor.schema import keys


@dataclass(frozen=True)
class Evaluated:
    """One fine-tune beside its base.

    Attributes:
        title: the fine-tune, for people. run_id: of it, empty for one out of a folder.
        limit: points that an original task may lose.
        repeat: how far a mean loss moves from nothing but other batches, in nats.
        seeds: standard deviations between seeds of the same fine-tune (`score`, `forgetting`), where others are known.
        curves: (step, value) by key.
        learning_rate, method: of the fine-tune, where known.
    """

    title: str
    run_id: str
    base_model: str
    limit: float
    task: TaskResult | None
    originals: tuple[OriginalResult, ...]
    retention: Retention | None
    overfitting: Overfitting | None
    repeat: float
    verdict: str
    rule: str
    advice: tuple[Advice, ...] = ()
    notes: tuple[str, ...] = ()
    seeds: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)

    @property
    def forgetting(self) -> float:
        """Mean loss of score over the original tasks, a fraction; NaN without any."""
        return forgetting_of(self.originals)[0]

    @property
    def forgetting_se(self) -> float:
        """Its standard error: of tasks whose rows have nothing to do with each other."""
        return forgetting_of(self.originals)[1]

    def metrics(self) -> dict[str, float]:
        """Every number under its key of the run, those that are not known left out."""
        found: dict[str, float] = {}
        if self.task is not None:
            found |= _task_metrics(self.task)
        for original in self.originals:
            found |= _original_metrics(original)
        found |= {"forgetting": self.forgetting, "forgetting_se": self.forgetting_se}
        found |= {"noise/forgetting": 1.96 * self.forgetting_se, "noise/repeat": self.repeat}
        found |= {f"noise/seeds_{name}": value for name, value in self.seeds.items()}
        kl = [original.divergence for original in self.originals if math.isfinite(original.divergence)]
        found["shift/kl_original"] = sum(kl) / len(kl) if kl else math.nan
        if self.retention is not None:
            found |= _retention_metrics(self.retention)
        if self.overfitting is not None:
            found |= {f"overfitting/{name}": value for name, value in self.overfitting.numbers().items()}
        return {f"{keys.EVALUATION}{plain_key(name)}": value for name, value in found.items() if math.isfinite(value)}

    def scores(self) -> dict[str, float]:
        """What is written back to the fine-tune, by the names of targets."""
        found = {"forgetting": self.forgetting, f"forgetting{keys.SE}": self.forgetting_se}
        if self.retention is not None:
            whole = self.retention.whole
            found |= {"retention": whole.retention, f"retention{keys.SE}": whole.error}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values, which :meth:`from_json` reads again; NaN becomes null."""
        return _plain(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Evaluated:
        """What :meth:`to_json` wrote. Raises KeyError or TypeError for anything else."""
        values = dict(stored)
        if values["task"] is not None:
            task = dict(values["task"])
            task["scores"] = {name: Paired(**_numbers(each)) for name, each in task["scores"].items()}
            task["manner"] = tuple(Manner(**_numbers(each)) for each in task["manner"])
            values["task"] = TaskResult(**_numbers(task | {"losses": tuple(map(_number, task["losses"]))}))
        values["originals"] = tuple(_original(each) for each in values["originals"])
        if values["retention"] is not None:
            whole, subjects = values["retention"]["whole"], values["retention"]["subjects"]
            values["retention"] = Retention(Subject(**whole), tuple(Subject(**each) for each in subjects))
        if values["overfitting"] is not None:
            values["overfitting"] = Overfitting(**_numbers(values["overfitting"]))
        values["advice"] = tuple(Advice(**each) for each in values["advice"])
        values["notes"] = tuple(values["notes"])
        values["repeat"] = _number(values["repeat"])
        return cls(**values)


def plain_key(name: str) -> str:
    """A name that MLflow takes as part of a key."""
    return re.sub(r"[^\w./ -]+", "-", name)


def _task_metrics(task: TaskResult) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, score in task.scores.items():
        found |= {f"task/base/{name}": score.base, f"task/tuned/{name}": score.tuned, f"task/gain/{name}": score.gain}
    score = task.score
    found |= {
        "task/n": float(score.n), "task/gain_low": score.low, "task/gain_high": score.high, "task/gain_se": score.se,
        "task/p": score.p, "task/won": float(score.won), "task/lost": float(score.lost), "noise/task": score.floor,
        "shift/kl_task": task.divergence, "task/base/nll": task.losses[0], "task/tuned/nll": task.losses[1],
        "judge/sense": task.sense,
    }  # fmt: skip
    return found | _manner_metrics("task", task.manner)


def _original_metrics(original: OriginalResult) -> dict[str, float]:
    at, score = f"original/{original.name}", original.score
    found = {f"{at}/{name}": value for name, value in original.details.items()}
    found |= {
        f"{at}/base": score.base, f"{at}/tuned": score.tuned, f"{at}/delta": score.gain, f"{at}/delta_se": score.se,
        f"{at}/p": score.p, f"{at}/n": float(score.n), f"shift/kl/{original.name}": original.divergence,
    }  # fmt: skip
    return found | (_manner_metrics(original.name, original.manner) if original.manner else {})


def _manner_metrics(name: str, manner: tuple[Manner, Manner]) -> dict[str, float]:
    return {
        f"shift/{measure}/{name}/{model}": value
        for model, own in zip(("base", "tuned"), manner, strict=True)
        for measure, value in (("length", own.length), ("refusals", own.refusals), ("empty", own.empty))
    }


def _retention_metrics(retention: Retention) -> dict[str, float]:
    found = {"retention": retention.whole.retention, "retention_se": retention.whole.error}
    found |= {"knowledge/gained": float(retention.gained), "knowledge/lost": float(retention.lost)}
    for subject in retention.subjects:
        at = f"knowledge/{subject.name}"
        found |= {f"{at}/retention": subject.retention, f"{at}/retention_se": subject.error}
        found |= {f"{at}/base": subject.base / subject.n, f"{at}/tuned": subject.tuned / subject.n}
    return found


def _original(stored: Mapping[str, Any]) -> OriginalResult:
    values = _numbers(stored)
    values["score"] = Paired(**_numbers(values["score"]))
    values["details"] = _numbers(values["details"])
    if values["manner"] is not None and isinstance(values["manner"], (list, tuple)):
        values["manner"] = tuple(Manner(**_numbers(each)) for each in values["manner"])
    return OriginalResult(**values)


_MAY_BE_NONE: Final = frozenset({"manner", "task", "retention", "overfitting", "best_step", "last_step"})


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Null was a number that is not known."""
    return {name: math.nan if each is None and name not in _MAY_BE_NONE else each for name, each in values.items()}


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
