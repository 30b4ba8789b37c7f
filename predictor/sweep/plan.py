"""A plan file: datasets × hyperparameters × seeds × base models, read and checked whole before anything runs."""

from __future__ import annotations

import dataclasses
import glob
import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from predictor.catalog import did_you_mean
from predictor.config import (
    LAB,
    Expression,
    Parameter,
    all_parameters,
    canonical_hash,
    coerce,
    flatten,
    parameters_of,
    parse_name,
    read_mapping,
)
from predictor.config.names import SPOIL
from predictor.errors import ConfigError
from predictor.finetune.methods import METHODS
from predictor.finetune.settings import Hyperparameters
from predictor.schema import HpValue
from predictor.sweep.placement import Resources, read_resources
from predictor.sweep.space import Choices, Range, Space, combinations, read_space
from predictor.trial.config import FinetuneConfig, finetune_config, hyperparameters_of

METHOD: Final = "method"
_SET_BY_LISTS = {"dataset": "datasets", "seed": "seeds", "base_model": "base_models"}
_LISTS = ("datasets", "hp", "seeds", "base_models")
_RESOURCES: Final = "resources"
_MARKS = "*?["
_RULE = (
    "a file, a glob, a folder, a hub id, lab:FAMILY:…, spoil:…, mix:… or slice:… of these, "
    "{family: NAME, dial: NUMBER, size: ROWS, seed: NUMBER}, {spoil: HOW, dial: NUMBER, seed: NUMBER, of: DATASET}, "
    "or {family: NAME, of: DATASET}, which tells how the dataset was made"
)


@dataclass(frozen=True)
class Plan:
    """What a sweep may run.

    Attributes:
        datasets, base_models, seeds: every combination of them is a context in which Hj are tried.
        spaces: alternatives, as of scikit-learn's ParameterGrid; in each the values that each hyperparameter may take.
            Those not named keep their default.
        fixed: other parameters of a fine-tune, the same for all runs.
        families: how a dataset was made, of those whose entry says so.
        resources: what a worker on other machines gets. No part of what the plan is.
    """

    datasets: tuple[str, ...]
    spaces: tuple[Space, ...] = ({},)
    seeds: tuple[int, ...] = (1,)
    base_models: tuple[str, ...] = (LAB,)
    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    families: Mapping[str, str] = dataclasses.field(default_factory=dict)
    resources: Resources = dataclasses.field(default_factory=Resources)

    @property
    def contexts(self) -> list[tuple[str, str]]:
        """(dataset, base model), in the plan's order."""
        return list(itertools.product(self.datasets, self.base_models))

    @property
    def compares_methods(self) -> bool:
        """Whether more than one method is tried."""
        usual = Choices((str(self.fixed.get(METHOD, "lora")),))
        methods = [space.get(METHOD, usual) for space in self.spaces]
        return len({each for values in methods if isinstance(values, Choices) for each in values.values}) > 1

    @property
    def has_ranges(self) -> bool:
        """Whether a hyperparameter may take any value of a range, so that the combinations cannot be listed."""
        return bool(self.ranges)

    @property
    def ranges(self) -> tuple[str, ...]:
        """Hyperparameters that may take any value of a range."""
        named = (name for space in self.spaces for name, values in space.items() if isinstance(values, Range))
        return tuple(dict.fromkeys(named))

    def combinations(self) -> Iterator[dict[str, HpValue]]:
        """Every combination of the listed values of the hyperparameters, each once."""
        seen = set()
        for hp in itertools.chain.from_iterable(map(combinations, self.spaces)):
            values = frozenset(hp.items())
            if values not in seen:
                seen.add(values)
                yield hp

    def config(self, dataset: str, base_model: str, seed: int, hp: Mapping[str, HpValue]) -> FinetuneConfig:
        """One fine-tune.

        Raises:
            ConfigError: values that are allowed one by one do not go together.
        """
        told = {"family": self.families[dataset]} if dataset in self.families else {}
        return finetune_config(**{**self.fixed, **told, **hp}, dataset=dataset, base_model=base_model, seed=seed)

    @property
    def digest(self) -> str:
        """Identity of the plan as written, by which its sweeps are found."""
        spaces = [
            {
                name: list(values.values) if isinstance(values, Choices) else dataclasses.asdict(values)
                for name, values in space.items()
            }
            for space in self.spaces
        ]
        written = dataclasses.asdict(dataclasses.replace(self, spaces=()))
        written["space"] = spaces[0] if len(spaces) == 1 else spaces
        return canonical_hash({name: value for name, value in written.items() if name not in (_RESOURCES, "spaces")})


def read_plan(path: str) -> Plan:
    """The plan in a YAML file.

    Raises:
        ConfigError: no such file, no YAML mapping, an unknown entry, a value that breaks a rule, or a glob without
            files.
    """
    rule = "a YAML file with datasets, hp, seeds, base_models and parameters of the finetune entry point"
    if not path:
        raise ConfigError("no plan was given", where="-P plan", rule=rule, fix="-P plan=FILE.yaml")
    content = read_mapping(path, rule, "the plan")
    fixed = _fixed({name: value for name, value in content.items() if name not in (*_LISTS, _RESOURCES)}, path)
    hp = content.get("hp") or {}
    datasets = list(_datasets(_list(content, "datasets", path), path))
    plan = Plan(
        datasets=tuple(name for name, _ in datasets),
        spaces=_spaces(hp, path, fixed),
        seeds=tuple(_whole(seed, path) for seed in _list(content, "seeds", path, [1])),
        base_models=tuple(str(name) for name in _list(content, "base_models", path, [LAB])),
        fixed=fixed,
        families={name: family for name, family in datasets if family},
        resources=read_resources(content.get(_RESOURCES) or {}, f"{path}, {_RESOURCES}"),
    )
    for name in ("datasets", "seeds", "base_models"):
        values = getattr(plan, name)
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ConfigError(f"{name} names {twice} twice", where=path, rule="each once")
    for space in plan.spaces:
        methods = space.get(METHOD)
        for method in methods.values if isinstance(methods, Choices) else ():
            METHODS.get(str(method), where=f"{path}, hp.method")
        first = next(combinations(space), {}) if METHOD in space and not plan.has_ranges else {}
        plan.config(plan.datasets[0], plan.base_models[0], plan.seeds[0], first)
    return plan


def _spaces(hp: Any, path: str, fixed: Mapping[str, Any]) -> tuple[Space, ...]:
    if not isinstance(hp, list):
        return (read_space(hp, f"{path}, hp", _known_hp(hp, fixed)),)
    return tuple(
        read_space(each, f"{path}, hp entry {number}", _known_hp(each, fixed)) for number, each in enumerate(hp, 1)
    )


def _fixed(content: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The parameters that are the same for all runs; flat or in sections, as in any configuration file."""
    given = flatten(FinetuneConfig, content, path)
    picked: dict[str, str] = {name: str(given[name].value) for name in ("task", "method") if name in given}
    known = parameters_of(FinetuneConfig, picked)
    varied = hyperparameters_of(picked.get("method", "lora"))
    open_ones = [name for name in known if name not in varied and name not in _SET_BY_LISTS]
    fixed = {}
    for name, entry in given.items():
        if name not in open_ones:
            raise ConfigError(
                f"unknown entry '{name}'",
                where=path,
                rule=f"entries: {', '.join([*_LISTS, _RESOURCES, *open_ones])}",
                fix=f"hyperparameters stand under hp: {name}" if name in varied else _hint(name, open_ones),
            )
        fixed[name] = coerce(known[name], entry.value, entry.where)
    return fixed


def _known_hp(hp: Any, fixed: Mapping[str, Any]) -> Mapping[str, Parameter]:
    """The hyperparameters that a plan may vary: of its one method, or of all methods and the method itself."""
    if isinstance(hp, Mapping) and METHOD in hp:
        return all_parameters(Hyperparameters)
    return hyperparameters_of(str(fixed.get(METHOD, "lora")))


def _hint(name: str, known: list[str]) -> str:
    if name in _SET_BY_LISTS:
        return f"write {_SET_BY_LISTS[name]}: [...]"
    return did_you_mean(name, [*_LISTS, _RESOURCES, *known])


def _list(content: Mapping[str, Any], name: str, path: str, default: list[Any] | None = None) -> list[Any]:
    given = content.get(name, default)
    values = given if isinstance(given, list) else [given]
    if given is None or not values:
        raise ConfigError(f"the plan has no {name}", where=path, rule=f"{name} is a list with at least one entry")
    return values


def _whole(seed: Any, path: str) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ConfigError(f"seed {seed!r} is no whole number", where=f"{path}, seeds", rule="seeds: [1, 2, 3]")
    return seed


def _datasets(entries: list[Any], path: str) -> Iterator[tuple[str, str]]:
    """Each dataset, and the family that its entry tells."""
    for number, entry in enumerate(entries, start=1):
        where = f"{path}, datasets entry {number}"
        family = ""
        if isinstance(entry, Mapping) and "of" in entry and "family" in entry:
            family = str(entry["family"])
            entry = {name: value for name, value in entry.items() if name != "family"}
        for name in _names(entry, where):
            yield name, family


def _names(entry: Any, where: str) -> Iterator[str]:
    """The datasets of one entry, globs and lists of dials and seeds written out."""
    if isinstance(entry, Mapping):
        yield from _made_of(entry, where) if SPOIL in entry or "of" in entry else _lab_names(entry, where)
    elif not isinstance(entry, str):
        raise ConfigError(f"{entry!r} is no dataset", where=where, rule=_RULE)
    elif any(mark in entry for mark in _MARKS):
        parsed = parse_name(entry)
        leaves = parsed.leaves if isinstance(parsed, Expression) else (parsed,)
        for chosen in itertools.product(*(_files(leaf, where) for leaf in leaves)):
            put = dict(zip(leaves, chosen, strict=True)).__getitem__
            yield parsed.with_leaves(put).written if isinstance(parsed, Expression) else put(parsed)
    else:
        yield entry


def _files(name: str, where: str) -> list[str]:
    """The files that match a glob; any other name as it is."""
    if name.startswith(f"{LAB}:") or not any(mark in name for mark in _MARKS) or os.path.lexists(name):
        return [name]
    files = sorted(glob.glob(name, recursive=True))
    if not files:
        raise ConfigError(f"no file matches '{name}'", where=where, rule="paths start in the working folder")
    return files


def _made_of(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """The datasets of `of`, each written like any entry; spoilt with each dial and seed where the entry says how."""
    _check_keys(entry, {SPOIL, "dial", "seed", "of"} if SPOIL in entry else {"of"}, where)
    if not entry.get("of"):
        raise ConfigError("the entry names no dataset", where=where, rule=_RULE, fix="of: FILE")
    names = [name for each in _as_list(entry["of"]) for name in _names(each, where)]
    if SPOIL not in entry:
        yield from names
        return
    dials, seeds = (_as_list(entry.get(name)) for name in ("dial", "seed"))
    for name, dial, seed in itertools.product(names, dials, seeds):
        yield ":".join([SPOIL, str(entry[SPOIL]), *_written(dial=dial, seed=seed), name])


def _lab_names(entry: Mapping[str, Any], where: str) -> Iterator[str]:
    """A name for each dial and each seed, where these are lists."""
    _check_keys(entry, {"family", "dial", "size", "seed"}, where)
    if "family" not in entry:
        raise ConfigError("the entry names no family", where=where, rule=_RULE)
    dials, seeds = (_as_list(entry.get(name)) for name in ("dial", "seed"))
    for dial, seed in itertools.product(dials, seeds):
        yield ":".join([LAB, str(entry["family"]), *_written(dial=dial, size=entry.get("size"), seed=seed)])


def _check_keys(entry: Mapping[str, Any], known: set[str], where: str) -> None:
    if unknown := sorted(map(str, set(entry) - known)):
        raise ConfigError(
            f"unknown key '{unknown[0]}'", where=where, rule=_RULE, fix=did_you_mean(unknown[0], sorted(known))
        )


def _written(**values: Any) -> list[str]:
    return [
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in values.items()
        if value is not None
    ]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
