"""What a sweep would do: which fine-tunes of its plan are done, how long the rest takes, and what feeds its sampler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from predictor.progress import Progress
from predictor.schema import RunRecord, keys
from predictor.schema.targets import Target
from predictor.sweep.driver import CRASHES, Standing
from predictor.sweep.plan import METHOD, Plan
from predictor.sweep.samplers import Interest, Point, Sampler, Seen
from predictor.tasks import TASKS, headline_target
from predictor.trial.config import FinetuneConfig
from predictor.trial.identity import identity
from predictor.trial.sources import ready_base


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
        """Fine-tunes that are still to run; None when the sampler decides how many there are."""
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
        self._materials: dict[tuple[object, ...], tuple[str, str, str]] = {}
        self._digests: dict[str, str] = {}

    def __call__(self, config: FinetuneConfig) -> str:
        """The identity of one fine-tune; a base model that is not on this machine yet is fetched.

        Raises:
            PredictorError: its data cannot be used, or its base model cannot be had.
        """
        from predictor.trial.materials import gather

        evaluation = config.evaluation
        # Which rows are drawn changes no fingerprint: the seed and the limit are in the identity themselves.
        key = (config.data.dataset, config.data.replay, config.task, evaluation)
        if key not in self._materials:
            materials = gather(config)
            told = materials.dataset.fingerprint, materials.evaluation_fingerprint, materials.replayed
            self._materials[key] = told
        dataset, scored, replayed = self._materials[key]
        return identity(config, dataset, scored, self.base(config.model.base_model, config.base_kind), replayed)

    def base(self, base_model: str, kind: str = "decoder") -> str:
        """The digest of a base model, which is fetched if it is not on this machine yet.

        Args:
            kind: what one with a name must be.

        Raises:
            ModelError: it cannot be had.
        """
        from predictor.models.base_model import fetch, planned_digest

        if base_model not in self._digests:
            source = ready_base(base_model, self._progress, kind)
            digest = planned_digest(source)
            if digest is None:
                self._progress.note(f"fetching {base_model}: all workers need it")
                fetch(source)
                digest = planned_digest(source)
            self._digests[base_model] = digest or "unknown"
        return self._digests[base_model]


@dataclass(frozen=True)
class Wishes:
    """What is asked of a sweep beside its plan.

    Attributes:
        sampler: name of the order. most: fine-tunes to consider, 0 for all. retries: further attempts after a failure.
        workers: processes.
    """

    sampler: str
    most: int
    retries: int
    workers: int


def look_ahead(
    wishes: Wishes,
    plan: Plan,
    sampler: Sampler,
    identify: Identity,
    standing: dict[str, Standing],
    records: Sequence[RunRecord],
    progress: Progress,
) -> Outlook:
    """Read every dataset, and look which fine-tunes of the plan are done.

    Args:
        sampler: a fresh one, which is used up.
    """
    for base_model in plan.base_models:
        kind = plan.config(plan.datasets[0], base_model, plan.seeds[0], {}).base_kind
        identify.base(base_model, kind)  # should it have to be fetched, workers find it afterwards
    progress.stage("check the plan", len(plan.contexts))
    for dataset, base_model in plan.contexts:
        identify(plan.config(dataset, base_model, plan.seeds[0], {}))
        progress.advance(1)
    if sampler.total is None or wishes.sampler == "tpe":
        total = sampler.total
        runs = None if total is None else total * len(plan.seeds)
        return Outlook(runs, 0, 0, _seconds(records), None, wishes.workers)
    found: dict[str, FinetuneConfig] = {}
    while (point := sampler.ask()) is not None:
        for seed in plan.seeds:
            fine_tune = plan.config(point.dataset, point.base_model, seed, point.hp)
            found.setdefault(identify(fine_tune), fine_tune)
    chosen = list(found)[: wishes.most or None]
    done = sum(standing[key].done for key in chosen if key in standing)
    aside = sum(
        not standing[key].done and (standing[key].crashes >= CRASHES or standing[key].failures > wishes.retries)
        for key in chosen
        if key in standing
    )
    open_ones = [found[key] for key in chosen if key not in standing or not standing[key].done]
    return Outlook(len(chosen), done, aside, _seconds(records), _disk_mb(records, open_ones), wishes.workers)


def make_sampler(wishes: Wishes, plan: Plan, records: Sequence[RunRecord], interest: Interest | None) -> Sampler:
    """The sampler that is wished for, with the scores of the fine-tunes that are done."""
    from predictor.sweep.samplers import SAMPLERS, Setting

    most = -(-wishes.most // len(plan.seeds)) if wishes.most else None
    return SAMPLERS.get(wishes.sampler)(Setting(plan, most, _seen(records), interest, headline_of(plan).sign))


def headline_of(plan: Plan) -> Target:
    """What the fine-tunes of a plan are compared by."""
    return headline_target(TASKS.get(plan.fixed.get("task", "qa")))


def standings(records: Sequence[RunRecord], *, retry: bool) -> dict[str, Standing]:
    """What the runs of the experiment say of each configuration.

    Args:
        retry: runs that failed or crashed do not count.
    """
    found: dict[str, Standing] = {}
    for record in records:
        standing = found.setdefault(record.config_hash, Standing())
        failure = record.failure or ""
        if record.status == "FINISHED" and record.complete:
            standing.done = True
            standing.score = record.scores.get(TASKS.get(record.task).headline, float("nan"))
        elif failure.startswith(keys.FAILURE_CRASHED) and not retry:
            standing.crashes += 1
            standing.reason = failure
        elif failure.startswith(keys.FAILURE_ABANDONED):
            standing.abandoned += 1
        elif record.status == "FAILED" and not retry:
            standing.failures += 1
            standing.reason = failure
    found.pop("", None)
    return found


def _seen(records: Sequence[RunRecord]) -> list[Seen]:
    return [
        Seen(
            Point(record.dataset, record.base_model, {**record.hp, METHOD: record.method}),
            record.scores[TASKS.get(record.task).headline],
        )
        for record in records
        if record.ineligible(f"{keys.SCORE}{TASKS.get(record.task or 'qa').headline}") is None
    ]


def _seconds(records: Sequence[RunRecord]) -> float | None:
    """Median seconds of the experiment's fine-tunes."""
    seconds = sorted(record.costs["total_s"] for record in records if record.complete and "total_s" in record.costs)
    return seconds[len(seconds) // 2] if seconds else None


def _disk_mb(records: Sequence[RunRecord], configs: Sequence[FinetuneConfig]) -> float | None:
    """Trained weights of 4 bytes, whose number grows with the rank of LoRA, and a tenth of a megabyte for the rest."""
    sizes = [
        record.costs["trainable_parameters"] / float(record.hp.get("lora_r", 1))
        for record in records
        if record.complete and "trainable_parameters" in record.costs
    ]
    if not sizes:
        return None
    ranks = (float(config.hyperparameters.logged().get("lora_r", 1)) for config in configs)
    return sum(4e-6 * max(sizes) * rank + 0.1 for rank in ranks)


def _span(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
