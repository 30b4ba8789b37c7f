"""What a sweep would do: which fine-tunes of its plan are done, how long the rest takes, and what feeds its sampler."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.config import FinetuneConfig
from predictor.progress import Progress
from predictor.schema import RunRecord, keys

if TYPE_CHECKING:
    from predictor.flows.sweep import SweepConfig
    from predictor.sweep import Plan
    from predictor.sweep.driver import Standing
    from predictor.sweep.samplers import Point, Sampler, Seen


@dataclass(frozen=True)
class Outlook:
    """What a sweep would do.

    Attributes:
        runs: fine-tunes in the plan; None when the sampler decides. done, set_aside: of these.
        seconds: estimated seconds of one fine-tune; None before any comparable one has run. disk_mb: of all to come.
    """

    runs: int | None
    done: int
    set_aside: int
    seconds: float | None
    disk_mb: float | None
    workers: int

    @property
    def open(self) -> int | None:
        return None if self.runs is None else self.runs - self.done - self.set_aside

    def lines(self) -> list[str]:
        """For a person."""
        count = "as many as the sampler wants" if self.runs is None else str(self.runs)
        lines = [f"{count} fine-tunes: {self.done} done, {self.set_aside} set aside"]
        if self.open is not None:
            lines[0] += f", {self.open} to run"
            if self.seconds is None:
                lines.append("time: unknown until the first of them has run")
            else:
                total = self.open * self.seconds / self.workers
                lines.append(f"time: about {_span(total)} ({self.seconds:.0f} s each, {self.workers} workers)")
            known = self.disk_mb is not None
            lines.append(f"disk: about {self.disk_mb:.0f} MB of artifacts" if known else "disk: unknown yet")
        return lines


class Identity:
    """The identity of a fine-tune of the plan; each dataset and base model is read once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._records: dict[tuple[object, ...], RunRecord] = {}
        self.rows: dict[str, int] = {}
        self._digests: dict[str, str] = {}

    def __call__(self, config: FinetuneConfig) -> str:
        from predictor.flows.materials import gather
        from predictor.flows.opening import identity, opening_record

        key = (config.dataset, config.eval_dataset, config.task, config.eval_limit, config.dev_limit)
        if key not in self._records:
            materials = gather(config)
            self._records[key] = opening_record(keys.KIND_FINETUNE, config, materials)
            self.rows[config.dataset] = len(materials.train)
        digest = self._digest(config.base_model)
        return identity(config, dataclasses.replace(self._records[key], base_model_digest=digest))

    def _digest(self, base_model: str) -> str:
        from predictor.finetune.base_model import fetch, planned_digest
        from predictor.flows.materials import base_model_source

        if base_model not in self._digests:
            source = base_model_source(base_model)
            digest = planned_digest(source)
            if digest is None:
                self._progress.note(f"fetching {base_model}: all workers need it")
                fetch(source)
                digest = planned_digest(source)
            self._digests[base_model] = digest or "unknown"
        return self._digests[base_model]


def look_ahead(
    config: SweepConfig,
    plan: Plan,
    identify: Identity,
    standing: dict[str, Standing],
    records: Sequence[RunRecord],
    progress: Progress,
) -> Outlook:
    """Read every dataset, and look which fine-tunes of the plan are done."""
    from predictor.sweep.driver import CRASHES

    progress.stage("check the plan", len(plan.contexts))
    for dataset, base_model in plan.contexts:
        identify(plan.config(dataset, base_model, plan.seeds[0], {}))
        progress.advance(1)
    probe = make_sampler(config, plan, records, progress)
    if probe.total is None or config.sampler == "tpe":
        total = probe.total
        runs = None if total is None else total * len(plan.seeds)
        return Outlook(runs, 0, 0, _seconds(records), None, config.workers)
    found: dict[str, FinetuneConfig] = {}
    most = config.max_runs or None
    while (point := probe.ask()) is not None:
        for seed in plan.seeds:
            fine_tune = plan.config(point.dataset, point.base_model, seed, point.hp)
            found.setdefault(identify(fine_tune), fine_tune)
    chosen = list(found)[:most]
    done = sum(standing[key].done for key in chosen if key in standing)
    aside = sum(
        not standing[key].done and (standing[key].crashes >= CRASHES or standing[key].failures > config.retries)
        for key in chosen
        if key in standing
    )
    open_ones = [found[key] for key in chosen if key not in standing or not standing[key].done]
    return Outlook(len(chosen), done, aside, _seconds(records), _disk_mb(records, open_ones), config.workers)


def make_sampler(config: SweepConfig, plan: Plan, records: Sequence[RunRecord], progress: Progress) -> Sampler:
    """The sampler that the configuration names, with the scores of the fine-tunes that are done."""
    from predictor.sweep import SAMPLERS
    from predictor.sweep.samplers import Setting

    most = -(-config.max_runs // len(plan.seeds)) if config.max_runs else None
    interest = _interest(config, plan, progress) if config.sampler == "suggest" else None
    return SAMPLERS.get(config.sampler)(Setting(plan, most, _seen(plan, records), interest))


def standings(records: Sequence[RunRecord], *, retry: bool) -> dict[str, Standing]:
    """What the runs of the experiment say of each configuration."""
    from predictor.sweep.driver import Standing
    from predictor.tasks import TASKS
    from predictor.tracking.lease import ABANDONED, CRASHED

    found: dict[str, Standing] = {}
    for record in records:
        standing = found.setdefault(record.config_hash, Standing())
        failure = record.failure or ""
        if record.status == "FINISHED" and record.complete:
            standing.done = True
            standing.score = record.scores.get(TASKS.get(record.task).headline, float("nan"))
        elif failure.startswith(CRASHED) and not retry:
            standing.crashes += 1
            standing.reason = failure
        elif failure.startswith(ABANDONED):
            standing.abandoned += 1
        elif record.status == "FAILED" and not retry:
            standing.failures += 1
            standing.reason = failure
    found.pop("", None)
    return found


def _seen(plan: Plan, records: Sequence[RunRecord]) -> list[Seen]:
    from predictor.sweep.samplers import Point, Seen
    from predictor.tasks import TASKS

    return [
        Seen(Point(record.dataset, record.base_model, record.hp), record.scores[TASKS.get(record.task).headline])
        for record in records
        if record.ineligible(f"{keys.SCORE}{TASKS.get(record.task or 'qa').headline}") is None
    ]


def _interest(config: SweepConfig, plan: Plan, progress: Progress) -> Callable[[Sequence[Point]], Sequence[float]]:
    """How much a run would teach: the part of its predicted interval that lies above the best lower bound of all.

    A run whose interval lies below that cannot be the best whatever comes; a sure one teaches little.
    """
    import pandas as pd

    from predictor.flows.materials import gather
    from predictor.flows.predict import load_predictor
    from predictor.probe import static_features
    from predictor.schema import hp_values
    from predictor.table import feature_row

    predictor = load_predictor(stage=config.stage, version=None, name=config.model_name)

    def interest(points: Sequence[Point]) -> list[float]:
        progress.stage("features of the datasets", len(plan.datasets))
        static = {}
        rows = []
        for point in points:
            fine_tune = plan.config(point.dataset, point.base_model, plan.seeds[0], point.hp)
            if point.dataset not in static:
                materials = gather(fine_tune)
                static[point.dataset] = static_features(materials.train, materials.task)
                progress.advance(1)
            record = RunRecord(hp=hp_values(fine_tune.hyperparameters), probe=static[point.dataset])
            rows.append(feature_row(record))
        predicted = predictor.predict(pd.DataFrame(rows))
        best = predicted["lower"].max()
        return list((predicted["upper"] - predicted["lower"].clip(lower=best)).clip(lower=0.0))

    return interest


def _seconds(records: Sequence[RunRecord]) -> float | None:
    """Median seconds of the experiment's fine-tunes."""
    seconds = sorted(record.costs["total_s"] for record in records if record.complete and "total_s" in record.costs)
    return seconds[len(seconds) // 2] if seconds else None


def _disk_mb(records: Sequence[RunRecord], configs: Sequence[FinetuneConfig]) -> float | None:
    """Adapters of 4 bytes a weight, whose number grows with the rank, and a tenth of a megabyte for the rest."""
    sizes = [
        record.costs["trainable_parameters"] / float(record.hp["lora_r"])
        for record in records
        if record.complete and "trainable_parameters" in record.costs
    ]
    if not sizes:
        return None
    return sum(4e-6 * max(sizes) * config.lora_r + 0.1 for config in configs)


def _span(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
