"""In which order a sweep tries the points of its plan.

A point is a dataset, a base model and Hj; all seeds of the plan are run at it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Literal, Protocol

from predictor.catalog import Catalog
from predictor.errors import ConfigError
from predictor.schema import HpValue
from predictor.sweep.plan import Plan
from predictor.sweep.space import Choices, Range

_POOL: Final = 64
"""Draws for each context that `suggest` chooses from when the plan has ranges."""


@dataclass(frozen=True)
class Point:
    """Where a sweep looks: every seed of the plan is run here."""

    dataset: str
    base_model: str
    hp: Mapping[str, HpValue]


@dataclass(frozen=True)
class Seen:
    """A point that was scored before; `score` is the headline score."""

    point: Point
    score: float


Interest = Callable[[Sequence[Point]], Sequence[float]]
"""How much a run at each point would teach; higher is sooner."""


class Sampler(Protocol):
    """Hands out points one by one and may learn from the scores."""

    @property
    def total(self) -> int | None:
        """Number of points, when that is known."""
        ...

    def ask(self) -> Point | None:
        """The next point; None when there are no more."""
        ...

    def tell(self, point: Point, score: float) -> None:
        """The mean score over the seeds at a point that was asked for."""
        ...


@dataclass(frozen=True)
class Setting:
    """What a sampler is made from.

    Attributes:
        most: points to hand out; None when the plan alone decides.
        seen: scored points of earlier sweeps.
        interest: for `suggest`; loads the predictor when it is first called.
        sign: −1 where a lower score is better.
    """

    plan: Plan
    most: int | None = None
    seen: Sequence[Seen] = ()
    interest: Interest | None = None
    sign: float = 1.0


SAMPLERS: Final[Catalog[Callable[[Setting], Sampler]]] = Catalog("sampler")


class _Listed:
    """Points in an order that is known from the start."""

    def __init__(self, points: Sequence[Point], most: int | None) -> None:
        self._points = list(points)[:most]
        self._next = iter(self._points)
        self.total = len(self._points)

    def ask(self) -> Point | None:
        return next(self._next, None)

    def tell(self, point: Point, score: float) -> None:
        pass


@SAMPLERS.register("grid")
def grid(setting: Setting) -> Sampler:
    """Every combination, datasets first, so that a sweep that is cut off has seen every dataset.

    Raises:
        ConfigError: the plan has ranges.
    """
    plan = setting.plan
    if plan.has_ranges:
        raise ConfigError(
            f"the plan gives ranges for {', '.join(plan.ranges)}",
            where="-P sampler=grid",
            rule="a grid needs lists of values",
            fix="-P sampler=random -P max_runs=… (or tpe), or write lists",
        )
    return _Listed([Point(*context, hp) for hp in plan.combinations() for context in plan.contexts], setting.most)


@SAMPLERS.register("random")
def random(setting: Setting) -> Sampler:
    """Contexts in turns, each with Hj drawn at random: the same plan gives the same points every time.

    Raises:
        ConfigError: there are ranges and no limit.
    """
    if not setting.plan.has_ranges:
        points = list(_all(setting.plan))
        Random(setting.plan.digest).shuffle(points)
        return _Listed(points, setting.most)
    most = _required(setting, "random")
    return _Listed(list(itertools.islice(_draws(setting.plan), most)), most)


@SAMPLERS.register("suggest")
def suggest(setting: Setting) -> Sampler:
    """Points by interest, the most instructive first.

    Raises:
        ConfigError: no predictor is at hand.
    """
    plan = setting.plan
    if setting.interest is None:
        raise ConfigError("sampler=suggest needs a registered predictor", where="-P sampler", fix="-P sampler=random")
    pool = list(_all(plan)) if not plan.has_ranges else list(itertools.islice(_draws(plan), _POOL * len(plan.contexts)))
    interest = setting.interest(pool)
    order = sorted(range(len(pool)), key=lambda index: (-interest[index], index))
    return _Listed([pool[index] for index in order], setting.most)


@SAMPLERS.register("tpe")
class TpeSampler:
    """Optuna's TPE on the score, with a study for each context; contexts take turns.

    Raises:
        ConfigError: no limit on the runs is given, or the plan names no hyperparameter to choose.
    """

    def __init__(self, setting: Setting) -> None:
        import optuna

        self._plan = setting.plan
        self.total = _required(setting, "tpe")
        if len(self._plan.spaces) > 1 or not self._plan.spaces[0]:
            raise ConfigError(
                "the plan has no hp to choose from"
                if len(self._plan.spaces) < 2
                else "the plan has alternatives of hp",
                where="-P sampler=tpe",
                rule="one mapping, such as hp: {learning_rate: …}",
                fix="-P sampler=random",
            )
        [self._space] = self._plan.spaces
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._studies = {}
        direction: Literal["maximize", "minimize"] = "maximize" if setting.sign > 0 else "minimize"
        for number, context in enumerate(self._plan.contexts):
            sampler = optuna.samplers.TPESampler(seed=number, constant_liar=True, n_startup_trials=5)
            self._studies[context] = optuna.create_study(direction=direction, sampler=sampler)
        self._asked: dict[str, Any] = {}
        self._count = 0
        for seen in setting.seen:
            self._remember(seen)

    def ask(self) -> Point | None:
        """The next point: the context whose turn it is, with Hj as its study proposes them."""
        if self._count >= self.total:
            return None
        context = self._plan.contexts[self._count % len(self._plan.contexts)]
        self._count += 1
        trial = self._studies[context].ask(self._distributions())
        point = Point(*context, {name: self._rounded(name, value) for name, value in trial.params.items()})
        self._asked[_key(point)] = trial
        return point

    def tell(self, point: Point, score: float) -> None:
        """Pass the score on to the study of the context; a point that was not asked for here is passed over."""
        trial = self._asked.pop(_key(point), None)
        if trial is not None:
            self._studies[point.dataset, point.base_model].tell(trial, score)

    def _remember(self, seen: Seen) -> None:
        import optuna

        study = self._studies.get((seen.point.dataset, seen.point.base_model))
        distributions = self._distributions()
        hp = {name: seen.point.hp[name] for name in distributions if name in seen.point.hp}
        inside = len(hp) == len(distributions) and all(
            distributions[name]._contains(distributions[name].to_internal_repr(value)) for name, value in hp.items()
        )
        if study is not None and inside:
            study.add_trial(optuna.trial.create_trial(params=hp, distributions=distributions, value=seen.score))

    def _distributions(self) -> dict[str, Any]:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        made: dict[str, Any] = {}
        for name, values in self._space.items():
            if isinstance(values, Choices):
                made[name] = CategoricalDistribution(values.values)
            elif values.whole:
                made[name] = IntDistribution(int(values.low), int(values.high), log=values.log)
            else:
                made[name] = FloatDistribution(values.low, values.high, log=values.log)
        return made

    def _rounded(self, name: str, value: HpValue) -> HpValue:
        return float(f"{value:.3g}") if isinstance(self._space[name], Range) and isinstance(value, float) else value


def _all(plan: Plan) -> Iterator[Point]:
    return (Point(*context, hp) for hp in plan.combinations() for context in plan.contexts)


def _draws(plan: Plan) -> Iterator[Point]:
    for number in itertools.count():
        context = plan.contexts[number % len(plan.contexts)]
        rng = Random(f"{plan.digest}-{number}")
        # Each context meets the alternatives in turns.
        space = plan.spaces[number // len(plan.contexts) % len(plan.spaces)]
        yield Point(*context, {name: values.draw(rng) for name, values in space.items()})


def _required(setting: Setting, name: str) -> int:
    if setting.most is None:
        raise ConfigError(
            f"sampler={name} would go on for ever",
            where="-P max_runs",
            rule="a plan with ranges needs a number of runs",
            fix="-P max_runs=100",
        )
    return setting.most


def _key(point: Point) -> str:
    return repr(dataclasses.astuple(point))
