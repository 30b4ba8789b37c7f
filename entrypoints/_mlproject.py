"""MLproject, written from the configuration classes: `python -m entrypoints._mlproject > MLproject`.

The classes are the one place where a parameter has a name, a type, a default and an effect. The flags of the command
line are made from them too, and a test compares this text with the file.
"""

from __future__ import annotations

import importlib
import sys

from predictor.config import parameters

VERBS = (
    "main",
    "finetune",
    "probe",
    "meta",
    "promote",
    "predict",
    "prepare",
    "convert",
    "sweep",
    "lab",
    "import-lab",
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


def _entry_point(verb: str) -> str:
    name = module_of(verb)
    module = importlib.import_module(name)
    fields = parameters(module.CONFIG)
    lines = [
        f"  # {' '.join((module.__doc__ or '').strip().split(chr(10) * 2)[0].split())}",
        f"  {verb}:",
        "    parameters:",
    ]
    for field in fields:
        kind = "float" if type(field.default) in (int, float) else "string"
        entry = f"      {field.name}: {{type: {kind}, default: {_yaml(field.default)}}}"
        lines.append(f"{entry:<62}  # {field.metadata['help']}")
    flags = " ".join(f"--{field.name} {{{field.name}}}" for field in fields)
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
