"""Configurations in sections: small frozen dataclasses side by side, and plug-ins that own the section they read.

Every field has one name in the whole configuration, by which `-P` gives it; a file may write the sections out.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from predictor.catalog import Catalog
from predictor.config.fields import Parameter, check_value, coerce, known_parameter, own_parameters
from predictor.errors import ConfigError

C = TypeVar("C")
S = TypeVar("S", bound="Sectioned")


@dataclass(frozen=True)
class NoSettings:
    """The section of a plug-in that has nothing to set."""


@dataclass(frozen=True)
class Chosen:
    """A plug-in that a configuration names, and the section that it owns.

    Attributes:
        name: in the catalog.
        settings: an instance of the plug-in's own dataclass.
    """

    name: str
    settings: Any


@dataclass(frozen=True)
class Given:
    """A value as it was given, and where: for messages."""

    value: Any
    where: str


def section(cls: type[C]) -> C:
    """A field that holds a section with its defaults."""
    return typing.cast(C, dataclasses.field(default_factory=cls, metadata={"section": cls}))


def choice(catalog: Callable[[], Catalog[Any]], default: str, help: str) -> Any:
    """A field that names a plug-in; its value is a :class:`Chosen`.

    Args:
        catalog: gives the plug-ins. A plug-in's `settings` is the dataclass of its section (without it there is nothing
            to set); its `defaults` maps names of other parameters to the defaults that they have with this plug-in, its
            `defaults_with` the name of a plug-in of another choice to those that they have with both.
    """
    made = lambda: Chosen(default, settings_class(catalog().get(default))())  # noqa: E731
    return dataclasses.field(default_factory=made, metadata={"choice": catalog, "default": default, "help": help})


def nested(cls: type[C], without: tuple[str, ...] = ()) -> C:
    """A field that holds a whole configuration in sections, whose fields `without` are not among the parameters."""
    return typing.cast(C, dataclasses.field(default_factory=cls, metadata={"nested": cls, "without": without}))


def settings_class(plugin: Any) -> type:
    """The dataclass of the section that a plug-in owns."""
    return getattr(plugin, "settings", NoSettings)


class Sectioned:
    """What every configuration in sections offers."""

    def values(self) -> dict[str, Any]:
        """Every parameter by its one name; a plug-in by its name in the catalog."""
        found: dict[str, Any] = {}
        for part in _parts(type(self)):
            value = getattr(self, part.name)
            if part.nested:
                found |= {n: v for n, v in value.values().items() if n not in part.without}
            elif part.catalog is not None:
                found |= {part.name: value.name, **_plain(value.settings)}
            elif part.section:
                found |= _plain(value)
            else:
                found[part.name] = value
        return found

    def replace(self: S, **values: Any) -> S:
        """The same configuration with other values of some parameters, by their one name.

        Raises:
            ConfigError: an unknown name, a value of another type, or one that breaks a rule. Values of a plug-in's own
                section go when another plug-in is named.
        """
        kept = self.values()
        for name, fields in foreign_parameters(type(self), {**kept, **values}).items():
            if name not in values and fields:
                kept.pop(name, None)
        given = {name: Given(value, f"-P {name}") for name, value in {**kept, **values}.items()}
        known = parameters_of(type(self), _picked(type(self), given))
        for name in kept.keys() - values.keys():
            # Two plug-ins may have a parameter of one name with other choices.
            choices = known[name].rule.get("choices") if name in known else None
            if choices and kept[name] not in choices:
                del kept[name]
        return from_values(type(self), {**kept, **values})

    def in_sections(self) -> dict[str, Any]:
        """The configuration as a file writes it: sections, and for a plug-in its name and the section that it owns."""
        written: dict[str, Any] = {}
        for part in _parts(type(self)):
            value = getattr(self, part.name)
            if part.nested:
                written |= value.in_sections()
            elif part.catalog is not None:
                written[part.name] = value.name
                if own := _plain(value.settings):
                    written[value.name] = own
            else:
                written[part.name] = _plain(value) if part.section else value
        return written


@dataclass(frozen=True)
class _Part:
    name: str
    parameter: Parameter
    section: type | None = None
    nested: type | None = None
    catalog: Catalog[Any] | None = None
    without: tuple[str, ...] = ()


def from_values(cls: type[C], values: Mapping[str, Any], where: str = "") -> C:
    """A configuration, in sections or flat, from values by name; texts and values of files alike.

    Raises:
        ConfigError: an unknown name (with the nearest known one), a name of a plug-in that was not chosen, a value of
            another type, or one that breaks its rule.
    """
    return from_given(cls, {name: Given(value, where or f"-P {name}") for name, value in values.items()})


def from_given(cls: type[C], given: Mapping[str, Given]) -> C:
    """:func:`from_values` for values of which each says where it stands."""
    picked = _picked(cls, given)
    known = parameters_of(cls, picked)
    for name, entry in given.items():
        if name not in known and name in (foreign := foreign_parameters(cls, picked)):
            owners = " or ".join(foreign[name])
            chooser = next(part.name for part in _choices(cls) if foreign[name][0] in _catalog(part))
            raise ConfigError(
                f"{name} is not read by {chooser}={picked[chooser]}",
                where=entry.where,
                rule=f"{name} belongs to {chooser}={owners}",
                fix=f"leave it out, or choose {chooser}={owners}",
            )
        known_parameter(name, known, "parameter", entry.where)
    defaults = _plugin_defaults(cls, picked)
    parsed = {name: coerce(known[name], value, f"-P {name}") for name, value in defaults.items() if name in known}
    parsed |= {name: coerce(known[name], entry.value, entry.where) for name, entry in given.items()}
    return _assembled(cls, parsed, picked)


def parameters_of(cls: type, picked: Mapping[str, str] | None = None) -> dict[str, Parameter]:
    """Every parameter of a configuration by its one name; those of the plug-ins `picked` (the default ones without)."""
    found: dict[str, Parameter] = {}
    for part in _parts(cls):
        if part.nested:
            found |= {n: f for n, f in parameters_of(part.nested, picked).items() if n not in part.without}
        elif part.catalog is not None:
            found[part.name] = part.parameter
            name = (picked or {}).get(part.name, part.parameter.default)
            found |= own_parameters(settings_class(part.catalog.get(name)))
        elif part.section:
            found |= own_parameters(part.section)
        else:
            found[part.name] = part.parameter
    return found


def foreign_parameters(cls: type, picked: Mapping[str, Any]) -> dict[str, list[str]]:
    """Parameters of plug-ins that were not picked → the plug-ins that read them."""
    found: dict[str, list[str]] = {}
    for part in _choices(cls):
        own = own_parameters(settings_class(_catalog(part).get(picked.get(part.name) or part.parameter.default)))
        for name, plugin in _catalog(part):
            for field in own_parameters(settings_class(plugin)):
                if field not in own:
                    found.setdefault(field, []).append(name)
    return found


def all_parameters(cls: type) -> dict[str, Parameter]:
    """Every parameter that any choice of plug-ins reads, by its one name.

    Where plug-ins read one in different ways, its help says what it is to each.
    """
    found = parameters_of(cls)
    for part in _choices(cls):
        helps: dict[str, dict[str, list[str]]] = {}
        for plugin_name, plugin in _catalog(part):
            for name, each in own_parameters(settings_class(plugin)).items():
                found.setdefault(name, each)
                helps.setdefault(name, {}).setdefault(each.help, []).append(plugin_name)
        for name, texts in helps.items():
            if len(texts) > 1:
                told = "; ".join(f"{part.name}={' or '.join(names)}: {text}" for text, names in texts.items())
                found[name] = dataclasses.replace(found[name], rule={**found[name].rule, "help": told})
    return found


def owned_parameters(cls: type) -> set[str]:
    """Names of parameters that belong to some plug-in, or whose default some plug-in changes."""
    names: set[str] = set()
    for part in _parts(cls):
        if part.nested:
            names |= owned_parameters(part.nested) - set(part.without)
        elif part.catalog is not None:
            for _, plugin in part.catalog:
                names |= {*own_parameters(settings_class(plugin)), *getattr(plugin, "defaults", {})}
                names |= {name for both in getattr(plugin, "defaults_with", {}).values() for name in both}
    return names


def check(config: Any) -> None:
    """Raise ConfigError for the first field that breaks its rule."""
    for part in _parts(type(config)):
        value = getattr(config, part.name)
        if part.catalog is not None:
            check(value.settings)
        elif part.section or part.nested:
            check(value)
        else:
            check_value(part.parameter, value, f"-P {part.name}")


def sections_of(cls: type) -> dict[str, dict[str, Parameter]]:
    """Section by the name that a file writes → its fields; a plug-in's own section has the plug-in's name."""
    found: dict[str, dict[str, Parameter]] = {}
    for part in _parts(cls):
        if part.nested:
            inner = sections_of(part.nested)
            found |= {s: {n: f for n, f in fields.items() if n not in part.without} for s, fields in inner.items()}
        elif part.catalog is not None:
            found |= {name: own_parameters(settings_class(plugin)) for name, plugin in part.catalog}
        elif part.section:
            found[part.name] = own_parameters(part.section)
    return found


@functools.cache
def _cached_parts(cls: Hashable) -> tuple[_Part, ...]:
    return tuple(_made_parts(typing.cast(type, cls)))


def _parts(cls: type) -> tuple[_Part, ...]:
    return _cached_parts(typing.cast(Hashable, cls))  # a class is hashable, whatever its instances are


def _made_parts(cls: type) -> Iterator[_Part]:
    for field in dataclasses.fields(cls):
        told = field.metadata
        if "choice" in told:
            named = Parameter(field.name, str, told["default"], {"help": told["help"]})
            yield _Part(field.name, named, catalog=told["choice"]())
        elif "section" in told or "nested" in told:
            nowhere = Parameter(field.name, object, None, {})
            yield _Part(field.name, nowhere, told.get("section"), told.get("nested"), without=told.get("without", ()))
        else:
            yield _Part(field.name, own_parameters(cls)[field.name])


def _choices(cls: type) -> tuple[_Part, ...]:
    found: list[_Part] = []
    for part in _parts(cls):
        if part.nested:
            found += _choices(part.nested)
        elif part.catalog is not None:
            found.append(part)
    return tuple(found)


def _catalog(part: _Part) -> Catalog[Any]:
    return typing.cast("Catalog[Any]", part.catalog)


def _picked(cls: type, given: Mapping[str, Given]) -> dict[str, str]:
    """The plug-in that each choice names."""
    picked = {}
    for part in _choices(cls):
        entry = given.get(part.name, Given("", ""))
        if entry.value == "":  # nothing is said
            entry = Given(part.parameter.default, entry.where)
        name = coerce(part.parameter, entry.value, entry.where)
        _catalog(part).get(name, where=entry.where)
        picked[part.name] = name
    return picked


def _plugin_defaults(cls: type, picked: Mapping[str, str]) -> dict[str, Any]:
    defaults: dict[str, Any] = {}
    for part in _parts(cls):
        if part.nested:
            # A field of the same name that stands beside the nested configuration is another one.
            inner = _plugin_defaults(part.nested, picked)
            defaults |= {name: value for name, value in inner.items() if name not in part.without}
        elif part.catalog is not None:
            plugin = part.catalog.get(picked[part.name])
            defaults |= getattr(plugin, "defaults", {})
            for other in picked.values():
                defaults |= getattr(plugin, "defaults_with", {}).get(other, {})
    return defaults


def _assembled(cls: type[C], values: Mapping[str, Any], picked: Mapping[str, str]) -> C:
    made: dict[str, Any] = {}
    for part in _parts(cls):
        if part.nested:
            inner = {name: value for name, value in values.items() if name not in part.without}
            made[part.name] = _assembled(part.nested, inner, picked)
        elif part.catalog is not None:
            own = settings_class(part.catalog.get(picked[part.name]))
            made[part.name] = Chosen(
                picked[part.name], own(**{n: values[n] for n in own_parameters(own) if n in values})
            )
        elif part.section:
            made[part.name] = part.section(**{n: values[n] for n in own_parameters(part.section) if n in values})
        elif part.name in values:
            made[part.name] = values[part.name]
    return cls(**made)


def _plain(settings: Any) -> dict[str, Any]:
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
