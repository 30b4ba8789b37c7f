"""Configuration files: YAML or JSON, read strictly, in sections or flat."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from predictor.catalog import did_you_mean
from predictor.config.fields import Parameter
from predictor.config.layouts import SECTIONS, spellings, translated, value_of, whole_batch
from predictor.config.sections import Given, all_parameters, from_given, sections_of
from predictor.errors import ConfigError

C = TypeVar("C")

CONFIG: Final = "config"
"""The parameter that names a file: `-P config=FILE.yaml`."""
CONFIG_PARAMETER: Final = Parameter(
    CONFIG, str, "", {"help": "a .yaml or .json file with any of these in sections; what is given here wins"}
)
_RULE = "a YAML or JSON file such as training: {learning_rate: 3.0e-4}"


def from_strings(cls: type[C], texts: Mapping[str, str]) -> C:
    """A configuration from the texts of a command line, over those of the file that `config` names.

    An empty text means the default.

    Raises:
        ConfigError: an unknown name (with the nearest known one), a text that is not of the field's type, a value that
            breaks the field's rule, or a file that cannot be read.
    """
    known = all_parameters(cls)
    named = {name: text for name, text in texts.items() if text not in (None, "") or name not in {*known, CONFIG}}
    # A configuration may have a parameter of that name, and read such a file itself.
    path = "" if CONFIG in known else named.pop(CONFIG, "")
    given = read_config(cls, path) if path else {}
    return from_given(cls, given | {name: Given(text, f"-P {name}={text}") for name, text in named.items()})


def read_config(cls: type, path: str) -> dict[str, Given]:
    """The values of a configuration file by their one name.

    At the top stand sections (`training: {learning_rate: 3.0e-4}`), names of plug-ins (`method: lora`) and single
    parameters. Within a section the section's own name may be left out: `lora: {r: 8}` gives `lora_r`. What other tools
    call the same is understood (:mod:`predictor.config.layouts`).

    Raises:
        ConfigError: no such file, no YAML or JSON mapping, an unknown section or entry, or one value given twice.
    """
    return flatten(cls, read_mapping(path, _RULE, "the configuration"), path)


def flatten(cls: type, content: Mapping[str, Any], path: str) -> dict[str, Given]:
    """The content of a configuration file by the parameters' one name; see :func:`read_config`."""
    sections, known = sections_of(cls), all_parameters(cls)
    given: dict[str, Given] = {}
    for written, value in content.items():
        name = written
        if isinstance(value, Mapping):
            if name not in sections:
                name = SECTIONS.get(str(written), "")
            if name not in sections:
                raise ConfigError(
                    f"unknown section '{written}'",
                    where=path,
                    rule=f"sections: {', '.join(sections)}",
                    fix=did_you_mean(str(written), [*sections, *SECTIONS]),
                )
            inside = (
                (_in_section(str(key), name, sections, known, path), str(key), each) for key, each in value.items()
            )
            entries = [(field, f"{path}, {written}.{key}", value_of(key, each)) for field, key, each in inside]
        else:
            field = str(name) if name in known else translated(str(name), "", known) or str(name)
            entries = [(field, f"{path}, {name}", value_of(str(name), value))]
        for field, where, each in entries:
            if field in given:
                raise ConfigError(f"{field} is given twice", where=where, rule="each parameter once in a file")
            given[field] = Given(each, where)
    whole_batch(given, known)
    return given


def _in_section(
    key: str, section: str, sections: Mapping[str, Mapping[str, Any]], known: Mapping[str, Parameter], path: str
) -> str:
    fields = sections[section]
    for name in (key, f"{section}_{key}"):
        if name in fields:
            return name
    if (elsewhere := translated(key, section, known)) is not None:
        return elsewhere
    other = next((each for each, inside in sections.items() if key in inside), "")
    raise ConfigError(
        f"unknown entry '{key}' in section '{section}'",
        where=path,
        rule=f"entries: {', '.join(fields) or 'none'}",
        fix=f"{key} stands in section '{other}'" if other else did_you_mean(key, [*fields, *spellings(known)]),
    )


def write_config(folder: Path, config: Any, name: str = "config.json") -> None:
    """The whole configuration in sections, from which the run can be repeated with `-P config=…`."""
    (folder / name).write_text(json.dumps(config.in_sections(), indent=2) + "\n", encoding="utf-8")


def read_mapping(path: str, rule: str, what: str = "the file") -> dict[str, Any]:
    """The mapping in a YAML or JSON file.

    Args:
        rule: what the file holds, and `what` it is, for messages.

    Raises:
        ConfigError: it cannot be read, is no mapping, or has one key twice.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        if Path(path).suffix.lower() == ".json":
            content = json.loads(text, object_pairs_hook=_once)
        else:
            content = yaml.load(text, _Strict)
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{what} cannot be read: {error}", where=path, rule=rule) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{what} is no mapping", where=path, rule=rule)
    return content


class _Strict(yaml.SafeLoader):
    """Refuses a mapping with one key twice, of which YAML would silently take the last."""


def _mapping(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    return _once(loader.construct_pairs(node, deep=True))


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _once(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"'{key}' stands there twice")
        found[key] = value
    return found
