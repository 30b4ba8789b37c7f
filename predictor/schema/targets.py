"""What is reported of a fine-tune, and predicted: its unit, its bounds, which way is better, how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, get_args

from predictor.catalog import Catalog, did_you_mean
from predictor.errors import ConfigError
from predictor.schema import keys

ErrorRule = Literal["bernoulli", "mean", "bootstrap", "given"]
FRACTION: Final = "fraction"
DIRECTIONS: Final = ("", "higher", "lower")
"""What a user may say of a target that no task declares; nothing said means that higher is better."""
_POINTS: Final = {FRACTION: "points", "ratio": "units", "": "units"}
"""What one point is called where the unit's own name does not do."""


@dataclass(frozen=True)
class Target:
    """One number that a fine-tune ends with.

    Attributes:
        name: bare, such as `exact_match`; a run has it as the metric `score/<name>`.
        meaning: one line in plain words.
        unit: `fraction`, `points`, `nats`, `nats per token`, `seconds`, `ratio`, or any other word for what 1 is; empty
            for a plain number.
        low, high: what it cannot fall below or exceed, in its unit; None without such a bound.
        higher_is_better: False for losses and times.
        error: how its standard error is found: `bernoulli` √(p(1 − p)/n), `mean` the standard deviation of its rows
            over √n, `bootstrap` over its rows, `given` by whoever measured it, or not at all.

    Raises:
        ValueError: bounds that are in the wrong order, an unknown error rule, or `bernoulli` outside [0, 1].
    """

    name: str
    meaning: str
    unit: str = FRACTION
    low: float | None = None
    high: float | None = None
    higher_is_better: bool = True
    error: ErrorRule = "given"

    def __post_init__(self) -> None:
        if self.error not in get_args(ErrorRule):
            raise ValueError(f"target '{self.name}': unknown error rule '{self.error}'")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"target '{self.name}': low {self.low} is not below high {self.high}")
        if self.error == "bernoulli" and (self.low, self.high) != (0.0, 1.0):
            raise ValueError(f"target '{self.name}': only a share in [0, 1] has a Bernoulli error")

    @property
    def key(self) -> str:
        """The metric of a run that holds it."""
        return keys.SCORE + self.name

    @property
    def point(self) -> float:
        """One point, in the unit: 0.01 of a fraction, 1 of anything else."""
        return 0.01 if self.unit == FRACTION else 1.0

    @property
    def points(self) -> str:
        """What points are called in reports."""
        return _POINTS.get(self.unit, self.unit)

    @property
    def sign(self) -> float:
        """1 when higher is better, else −1: `sign * value` is larger for the better one."""
        return 1.0 if self.higher_is_better else -1.0

    def better(self, a: float, b: float) -> bool:
        """Is a better than b?"""
        return self.sign * a > self.sign * b

    def inside(self, value: float) -> bool:
        """Does a value keep the bounds, rounding aside? NaN does."""
        slack = 1e-9
        below = self.low is not None and value < self.low - slack
        return not below and not (self.high is not None and value > self.high + slack)

    @property
    def range(self) -> str:
        """The bounds in words."""
        if self.low is not None and self.high is not None:
            return f"in [{self.low:g}, {self.high:g}]"
        if self.low is not None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else "any number"

    def text(self, value: float, places: int = 2) -> str:
        """A value in points, with `places` decimals; of any other unit with one significant digit more.

        Nobody knows the usual size of a value in another unit.
        """
        if self.points == "points":
            return f"{value / self.point:.{places}f}"
        return f"{value:.{places + 1}g}"

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Target:
        """The target of which :meth:`to_json` gave the fields."""
        return cls(**data)


TARGETS: Catalog[Target] = Catalog("target")
"""The targets that tasks declare, by bare name; importing `predictor.tasks` fills it."""


def declare(targets: tuple[Target, ...]) -> None:
    """Make targets known. Two tasks may report the same one.

    Raises:
        ValueError: a name that a metric beside the scores has, or one that is known as something else. Nothing is
            declared then.
    """
    for target in targets:
        if keys.SCORE + target.name == keys.SCORE_N or target.name.endswith(keys.SE):
            raise ValueError(f"target '{target.name}' has the name of a number of questions or of a standard error")
        if target.name in TARGETS and TARGETS.get(target.name) != target:
            raise ValueError(f"target '{target.name}' is declared twice, in different ways")
    for target in targets:
        if target.name not in TARGETS:
            TARGETS.add(target.name, target)


def target_of(key: str, *, unit: str = "", direction: str = "") -> Target:
    """The target that runs have under a metric.

    Args:
        key: `score/<name>`.
        unit, direction: what the user says of it; needed for a target that no task declares.

    Raises:
        ConfigError: it is no score; no task declares it and no unit is given (the nearest known one is suggested); or
            what the user says contradicts the task.
    """
    name = key.removeprefix(keys.SCORE)
    if name == key:
        raise ConfigError(
            f"target '{key}' cannot be predicted from runs",
            where="-P target",
            rule=f"{keys.SCORE}<name>, such as {keys.SCORE}exact_match",
        )
    whole, _, part = name.partition("/")
    if name not in TARGETS and part and whole in TARGETS:
        # Of one part, such as one dimension or one task of several: `mae/growth` is measured as `mae` is.
        return replace(target_of(keys.SCORE + whole, unit=unit, direction=direction), name=name, error="given")
    if name not in TARGETS and unit:
        return described(name, unit, direction)
    if name not in TARGETS:
        known = [target.key for _, target in TARGETS]
        hint = did_you_mean(key, known) if known else "import predictor.tasks, which declares the targets"
        raise ConfigError(
            f"no task declares the target '{key}'",
            where="-P target",
            rule=f"one of: {', '.join(sorted(known))}; or say what it is with unit and direction",
            fix=f"{hint} Or -P unit=fraction (points, nats, seconds, …) -P direction=lower",
        )
    target = TARGETS.get(name)
    said = {"unit": (unit, target.unit), "direction": (direction, DIRECTIONS[1 if target.higher_is_better else 2])}
    for parameter, (given, declared) in said.items():
        if given and given != declared:
            raise ConfigError(
                f"{parameter}={given} contradicts the task that declares {key}",
                where=f"-P {parameter}",
                rule=f"{declared}, or nothing",
                fix=f"leave {parameter} away",
            )
    return target


def described(name: str, unit: str = "", direction: str = "") -> Target:
    """A target of which all that is known is what the user says; a fraction lies in [0, 1].

    Raises:
        ConfigError: an unknown direction.
    """
    if direction not in DIRECTIONS:
        raise ConfigError(
            f"direction='{direction}' is unknown",
            where="-P direction",
            rule="higher or lower",
            fix=did_you_mean(direction, DIRECTIONS[1:]),
        )
    low, high = (0.0, 1.0) if unit == FRACTION else (None, None)
    return Target(name, "", unit, low, high, higher_is_better=direction != "lower", error="given")
