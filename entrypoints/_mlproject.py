"""MLproject, written from the configuration classes: `python -m entrypoints._mlproject > MLproject`.

The classes are the one place where a parameter has a name, a type, a default and an effect. The flags of the command
line are made from them too, and a test compares this text with the file.
"""

from __future__ import annotations

import importlib
import sys

from predictor.config import CONFIG_PARAMETER, Parameter, Sectioned, all_parameters, owned_parameters

VERBS = (
    "main",
    "real",
    "finetune",
    "probe",
    "meta",
    "promote",
    "predict",
    "evaluate",
    "prepare",
    "convert",
    "server",
    "sweep",
    "curriculum",
    "ratios",
    "merge",
    "generate",
    "bases",
    "lab",
    "import-runs",
    "pretrain",
)
"""Entry points in the order of the newcomer's journey."""

_HEAD = """\
# The table of contents of this project: every entry point, every parameter with its type, default and effect.
# Written by `python -m entrypoints._mlproject > MLproject` from the configuration classes.

name: finetune-predictor
conda_env: conda.yaml

entry_points:
"""


def render() -> str:
    """The text of MLproject."""
    return _HEAD + "\n".join(_entry_point(verb) for verb in VERBS)


def module_of(verb: str) -> str:
    """The module that runs an entry point."""
    return f"entrypoints.{verb.replace('-', '_')}"


def listed(config_class: type) -> list[Parameter]:
    """The parameters that stand in MLproject: those that people change. Every other one is given in the same way."""
    found = [each for each in all_parameters(config_class).values() if each.rule.get("listed", True)]
    return [*found, CONFIG_PARAMETER] if issubclass(config_class, Sectioned) else found


def _entry_point(verb: str) -> str:
    name = module_of(verb)
    module = importlib.import_module(name)
    parameters = listed(module.CONFIG)
    # Its default depends on the plug-in that is chosen: nothing is said unless the user says it.
    owned = owned_parameters(module.CONFIG) if issubclass(module.CONFIG, Sectioned) else set()
    lines = [
        f"  # {' '.join((module.__doc__ or '').strip().split(chr(10) * 2)[0].split())}",
        f"  {verb}:",
        "    parameters:",
    ]
    for each in parameters:
        kind = "float" if each.kind in (int, float) and each.name not in owned else "string"
        default, note = ('""', f" [{each.default!r}]") if each.name in owned else (_yaml(each.default), "")
        entry = f"      {each.name}: {{type: {kind}, default: {default}}}"
        lines.append(f"{entry:<62}  # {each.help}{note}")
    flags = " ".join(f"--{each.name} {{{each.name}}}" for each in parameters)
    lines.append(f'    command: "python -m {name} {flags}"')
    return "\n".join(lines) + "\n"


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return f'"{str(value).lower()}"'  # bare, MLflow would hand on Python's True
    if isinstance(value, float):
        text = f"{value:g}"
        # YAML reads 3e-4 as text and 3.0e-4 as a number.
        mantissa, e, exponent = text.partition("e")
        return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text
    return str(value) if isinstance(value, int) else f'"{value}"'


if __name__ == "__main__":
    sys.stdout.write(render())
