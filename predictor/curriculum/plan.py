"""A plan of stages, read and checked whole before anything runs: tasks, stages, Hj, seeds, control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from predictor.catalog import did_you_mean
from predictor.config import LAB, canonical_hash, coerce, flatten, parameters_of, read_mapping
from predictor.config.sections import settings_class
from predictor.curriculum.shares import SAMPLINGS, Sampling
from predictor.errors import ConfigError
from predictor.tasks import TASKS
from predictor.trial.config import FinetuneConfig, hyperparameters_of

_RULE: Final = "a YAML or JSON file with tasks, stages, hp, seeds and parameters of the finetune entry point"
_TOP: Final = (
    "tasks", "stages", "hp", "seeds", "base_model", "optimizer", "batches", "sampling", "cap", "temperature", "control",
)  # fmt: skip
_STAGE: Final = ("name", "tasks", "data_ratio", "epochs", "hp")
_OWN: Final = (
    "dataset", "eval_dataset", "task", "seed", "base_model", "start_from", "keep_optimizer", "order", "family",
    "train_limit",
)  # fmt: skip
"""Parameters of a fine-tune that the plan itself decides."""
_ONE_ADAPTER: Final = ("lora_r", "lora_alpha", "target_modules")


@dataclass(frozen=True)
class Member:
    """One task of the plan: which kind it is, its own settings, its rows and its questions."""

    kind: str
    settings: Mapping[str, Any]
    dataset: str
    eval_dataset: str


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        tasks: names, in the plan's order. weights: of each, or None.
        ratio: share of each task's rows; hp: what differs from the plan's Hj, epochs among it.
    """

    name: str
    tasks: tuple[str, ...]
    weights: Mapping[str, float] | None
    ratio: float
    hp: Mapping[str, Any]


@dataclass(frozen=True)
class Course:
    """A whole plan.

    Attributes:
        fixed: parameters of a fine-tune that are the same for all stages.
        keep_optimizer: a stage goes on with the optimizer of the one before. by_task: batches of one task each.
        control: the same rows are also learnt in no order.
    """

    members: Mapping[str, Member]
    stages: tuple[Stage, ...]
    seeds: tuple[int, ...]
    base_model: str
    fixed: Mapping[str, Any]
    hp: Mapping[str, Any]
    keep_optimizer: bool
    by_task: bool
    sampling: Sampling
    control: bool

    def with_control(self, said: str) -> Course:
        """The plan with a control or without one, where that is said; an empty text leaves it as it is."""
        return self if said == "" else replace(self, control=said == "true")

    @property
    def digest(self) -> str:
        """Identity of the plan as written."""
        return canonical_hash({"course": repr(self)})


def read_course(path: str) -> Course:
    """The plan in a file.

    Raises:
        ConfigError: no such file, an unknown entry, or a value that breaks a rule.
    """
    if not path:
        raise ConfigError("no plan was given", where="-P config", rule=_RULE, fix="-P config=plans/curriculum.yaml")
    content = read_mapping(path, _RULE, "the plan")
    members = _members(content.get("tasks"), path)
    base_model = _base_model(content, path)
    fixed = _fixed({name: value for name, value in content.items() if name not in _TOP}, path)
    hp = _hp(content.get("hp"), f"{path}, hp")
    stages = _stages(content.get("stages"), members, path)
    for name in _ONE_ADAPTER:
        values = {stage.hp.get(name, hp.get(name)) for stage in stages}
        if len(values) > 1:
            raise ConfigError(
                f"stages disagree on {name}", where=path, rule=f"{name} is the same: all stages train one adapter"
            )
    return Course(
        members,
        stages,
        _seeds(content.get("seeds", [1]), path),
        base_model,
        fixed,
        hp,
        _one_of(content, "optimizer", ("fresh", "kept"), path) == "kept",
        _one_of(content, "batches", ("mixed", "by_task"), path) == "by_task",
        _sampling(content, path),
        _flag(content, "control", path),
    )


def _members(entries: Any, path: str) -> dict[str, Member]:
    rule = "tasks: {NAME: {task: qa, dataset: FILE, eval_dataset: FILE, …settings of the task}}"
    if not isinstance(entries, Mapping) or not entries:
        raise ConfigError("the plan has no tasks", where=path, rule=rule)
    found = {}
    for name, entry in entries.items():
        where = f"{path}, tasks.{name}"
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{entry!r} is no task", where=where, rule=rule)
        if not str(name).replace("_", "").replace("-", "").isalnum():
            raise ConfigError(f"'{name}' is no name", where=where, rule="letters, digits, _ and -")
        given = flatten(FinetuneConfig, {k: v for k, v in entry.items() if k != "base_model"}, where)
        kind = str(given.pop("task").value) if "task" in given else "qa"
        task = TASKS.get(kind, where=where)
        known = parameters_of(FinetuneConfig, {"task": kind})
        own = [each for each in known if each in ("dataset", "eval_dataset")]
        own += list(getattr(settings_class(task), "__dataclass_fields__", {}))
        values = {}
        for each, value in given.items():
            if each not in own:
                raise ConfigError(
                    f"unknown entry '{each}'",
                    where=where,
                    rule=f"entries: task, {', '.join(own)}",
                    fix=did_you_mean(each, own),
                )
            values[each] = coerce(known[each], value.value, value.where)
        for needed in ("dataset", "eval_dataset"):
            if not values.get(needed):
                raise ConfigError(f"the task '{name}' names no {needed}", where=where, rule=rule)
        files = [values.pop("dataset"), values.pop("eval_dataset")]
        found[str(name)] = Member(kind, values, *files)
    return found


def _base_model(content: Mapping[str, Any], path: str) -> str:
    """The one base of the plan; a task may name it too."""
    said = {"the plan": content["base_model"]} if "base_model" in content else {}
    tasks: Mapping[str, Any] = content["tasks"]
    said |= {f"task {name}": entry["base_model"] for name, entry in tasks.items() if "base_model" in entry}
    if len({str(base) for base in said.values()}) > 1:
        named = ", ".join(f"{who} {base}" for who, base in said.items())
        raise ConfigError(
            f"the tasks disagree on the base model: {named}",
            where=path,
            rule="all stages train one adapter of one base",
            fix="name base_model once, at the top of the plan",
        )
    return str(next(iter(said.values()), LAB))


def _fixed(content: Mapping[str, Any], path: str) -> dict[str, Any]:
    given = flatten(FinetuneConfig, content, path)
    known = parameters_of(FinetuneConfig, {"task": "several"})
    open_ones = [n for n in known if n not in {*hyperparameters_of(), *_OWN, "method", "several_members"}]
    found: dict[str, Any] = {"checkpoint_steps": 20}
    for name, entry in given.items():
        if name not in open_ones:
            raise ConfigError(
                f"unknown entry '{name}'",
                where=path,
                rule=f"entries: {', '.join([*_TOP, *open_ones])}",
                fix=f"hyperparameters stand under hp: {name}"
                if name in hyperparameters_of()
                else did_you_mean(name, [*_TOP, *open_ones]),
            )
        found[name] = coerce(known[name], entry.value, entry.where)
    return found


def _hp(entries: Any, where: str) -> dict[str, Any]:
    if entries is None:
        return {}
    if not isinstance(entries, Mapping):
        raise ConfigError("hp is no mapping", where=where, rule="hp: {learning_rate: 1.0e-3, batch_size: 8}")
    known = {name: each for name, each in hyperparameters_of().items() if name != "max_steps"}
    for name in entries:
        if name not in known:
            raise ConfigError(
                f"unknown hyperparameter '{name}'",
                where=where,
                rule=f"hyperparameters: {', '.join(known)}; steps come of epochs",
                fix=did_you_mean(str(name), known),
            )
    return {str(name): coerce(known[name], value, f"{where}.{name}") for name, value in entries.items()}


def _stages(entries: Any, members: Mapping[str, Member], path: str) -> tuple[Stage, ...]:
    rule = f"stages is a list of mappings with {', '.join(_STAGE)}"
    if not isinstance(entries, list) or not entries:
        raise ConfigError("the plan has no stages", where=path, rule=rule)
    found: list[Stage] = []
    for number, entry in enumerate(entries, start=1):
        where = f"{path}, stages entry {number}"
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{entry!r} is no stage", where=where, rule=rule)
        if unknown := next((name for name in entry if name not in _STAGE), None):
            raise ConfigError(f"unknown entry '{unknown}'", where=where, rule=rule, fix=did_you_mean(unknown, _STAGE))
        name = str(entry.get("name", f"stage{number}"))
        if name in {stage.name for stage in found}:
            raise ConfigError(f"two stages are called '{name}'", where=where, rule="each has its own name")
        epochs = {"epochs": entry["epochs"]} if "epochs" in entry else {}
        hp = _hp(entry.get("hp"), f"{where}, hp") | _hp(epochs, where)
        weights = _weights(entry.get("tasks", "all"), members, where)
        chosen = tuple(task for task in members if task in weights)
        said = isinstance(entry.get("tasks"), Mapping)
        found.append(
            Stage(name, chosen, weights if said else None, check_ratio(entry.get("data_ratio", 1.0), where), hp)
        )
    return tuple(found)


def _weights(entry: Any, members: Mapping[str, Member], where: str) -> dict[str, float]:
    given = dict.fromkeys(members, 1.0) if entry == "all" else entry
    if isinstance(given, (str, list)):
        given = dict.fromkeys([given] if isinstance(given, str) else given, 1.0)
    if not isinstance(given, Mapping) or not given:
        raise ConfigError("the stage has no tasks", where=where, rule="tasks: [NAME, …], {NAME: WEIGHT, …} or all")
    for task, weight in given.items():
        if task not in members:
            raise ConfigError(
                f"unknown task '{task}'",
                where=where,
                rule=f"tasks of the plan: {', '.join(members)}",
                fix=did_you_mean(str(task), members),
            )
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not weight > 0:
            raise ConfigError(f"the weight {weight!r} of '{task}' is no positive number", where=where, rule="such as 2")
    return {str(task): float(weight) for task, weight in given.items()}


def check_ratio(value: Any, where: str) -> float:
    """A share of the data, above 0 and at most 1; raises ConfigError for any other value."""
    try:
        ratio = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        ratio = float("nan")
    if not 0.0 < ratio <= 1.0:
        raise ConfigError(
            f"the ratio {value!r} is out of range",
            where=where,
            rule="a share of the rows: above 0, at most 1",
            fix="0.3 for three tenths of them, 1 for all",
        )
    return ratio


def _seeds(entry: Any, path: str) -> tuple[int, ...]:
    seeds = entry if isinstance(entry, list) else [entry]
    if (
        not seeds
        or any(isinstance(s, bool) or not isinstance(s, int) or s < 0 for s in seeds)
        or len({*seeds}) < len(seeds)
    ):
        raise ConfigError(f"seeds {entry!r} are none", where=path, rule="seeds: [1, 2, 3], each once")
    return tuple(seeds)


def _one_of(content: Mapping[str, Any], name: str, choices: tuple[str, ...], path: str) -> str:
    value = str(content.get(name, choices[0]))
    if value not in choices:
        raise ConfigError(
            f"{name}='{value}' is unknown",
            where=path,
            rule=f"one of: {', '.join(choices)}",
            fix=did_you_mean(value, choices),
        )
    return value


def _flag(content: Mapping[str, Any], name: str, path: str) -> bool:
    value = content.get(name, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{name}={value!r} is neither true nor false", where=path, rule=f"{name}: true or false")
    return value


def _sampling(content: Mapping[str, Any], path: str) -> Sampling:
    how = _one_of(content, "sampling", SAMPLINGS, path)
    cap, temperature = content.get("cap", 0), content.get("temperature", 1.0)
    if ("cap" in content) != (how == "capped") or ("temperature" in content) != (how == "temperature"):
        raise ConfigError(
            f"sampling={how} does not go with the other entries",
            where=path,
            rule="cap: ROWS belongs to sampling: capped, temperature: NUMBER to sampling: temperature",
        )
    if how == "capped" and (isinstance(cap, bool) or not isinstance(cap, int) or cap < 1):
        raise ConfigError(f"cap={cap!r} is no number of rows", where=path, rule="cap: a whole number of at least 1")
    if isinstance(temperature, bool) or not isinstance(temperature, (int, float)) or not temperature >= 1:
        raise ConfigError(f"temperature={temperature!r} is out of range", where=path, rule="a number of at least 1")
    return Sampling(how, int(cap), float(temperature))
