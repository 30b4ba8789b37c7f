"""The commands that the documentation names, and what is wrong with one."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import click

from entrypoints import _mlproject
from predictor.config import CONFIG, from_strings
from predictor.errors import PredictorError

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
_COMMAND = re.compile(r"(\S*/)?(mlflow|make|python) ")
_NAMED: Final = {"mlflow run", "mlflow ui"}
"""Spoken of in a sentence, not to be typed."""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Command:
    """A command as it stands on a page.

    Attributes:
        place: page and line. text: the command on one line.
        output: what the page shows below it; empty where the page shows commands alone.
    """

    place: str
    text: str
    output: str = ""

    @property
    def words(self) -> list[str]:
        """As a shell reads it: without variables that are set before it, a comment, and the folder of the program."""
        words = shlex.split(self.text, comments=True)
        while "=" in words[0]:
            words.pop(0)
        return [words[0].rsplit("/", 1)[-1], *words[1:]]

    @property
    def verb(self) -> str | None:
        """The entry point that it starts."""
        if self.words[:2] == ["mlflow", "run"]:
            return _mlflow(self.words)["entry_point"]
        if self.words[:2] == ["python", "-m"] and self.words[2].startswith("entrypoints."):
            return self.words[2].removeprefix("entrypoints.").replace("_", "-")
        return None

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters of the entry point, as text."""
        if self.words[0] == "mlflow":
            pairs = (pair.partition("=") for pair in _mlflow(self.words)["param_list"])
            return {name: value for name, _, value in pairs}
        flags, found = self.words[3:], {}
        for flag, next_word in zip(flags, [*flags[1:], ""], strict=True):
            name, equals, value = flag.removeprefix("--").partition("=")
            if flag.startswith("--") and name != "help":
                found[name] = value if equals else next_word
        return found


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return [match[2] for match in _BLOCK.finditer(text) if match[1] == language]


def commands(text: str, name: str) -> list[Command]:
    """The commands in the code blocks of a page and in its lines, in the page's order.

    A block with prompts (`$ `) shows commands with their output; one without shows commands alone.
    """
    found: list[tuple[int, str, str]] = []
    for match in _BLOCK.finditer(text):
        if not match[1]:
            found += [(match.start(2) + at, line, output) for at, line, output in _in_block(match[2])]
    prose = _BLOCK.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    for match in re.finditer(r"`([^`]+)`", prose):
        line = " ".join(match[1].split())
        if _COMMAND.match(line) and line not in _NAMED:
            found.append((match.start(), line, ""))
    return [Command(f"{name}:{text.count(chr(10), 0, at) + 1}", line, output) for at, line, output in sorted(found)]


def _in_block(block: str) -> Iterator[tuple[int, str, str]]:
    """Where a command begins, the command on one line, and its output."""
    joined = re.sub(r" *\\\n *", lambda match: " " * len(match[0]), block)
    if "$ " not in {line[:2] for line in joined.splitlines()}:
        for match in re.finditer(r"^.+$", joined, re.M):
            if _COMMAND.match(match[0]):
                yield match.start(), " ".join(match[0].split()), ""
        return
    for match in re.finditer(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", joined, re.M):
        yield match.start(), match[1], match[2]


def fault(command: Command) -> str | None:
    """Why the command cannot work as it is written: a name that does not exist, or a value of another type."""
    from mlflow.exceptions import MlflowException

    program, *rest = command.words
    try:
        if program == "make":
            targets = re.findall(r"^([\w-]+):", page("Makefile"), re.M)
            named = [word for word in rest if word != "MLproject" and "=" not in word]
            return next((f"no target {word}" for word in named if word not in targets), None)
        if program == "mlflow":
            _mlflow(command.words)
            return _entry_point(command.verb, command.parameters) if command.verb else None
        if rest[0] != "-m":
            return "python runs modules here"
        if importlib.util.find_spec(rest[1]) is None:
            return f"no module {rest[1]}"
        if rest[1] == "pytest":
            return next((f"no file {word}" for word in rest[2:] if not (ROOT / word).exists()), None)
        return _entry_point(command.verb, command.parameters) if command.verb else None
    except (ModuleNotFoundError, PredictorError, click.ClickException, MlflowException) as error:
        return str(error)


CONVERSATIONS = ("chat",)
"""Entry points of which no run is made; they are in no MLproject."""


def _entry_point(verb: str, parameters: Mapping[str, str]) -> str | None:
    if verb not in (*_mlproject.VERBS, *CONVERSATIONS):
        return f"no entry point {verb}"
    given = {name: value for name, value in parameters.items() if name != CONFIG}  # a file of the reader's own
    from_strings(importlib.import_module(_mlproject.module_of(verb)).CONFIG, given)
    return None


def _mlflow(words: list[str]) -> Mapping[str, object]:
    """What MLflow's own command line understands; nothing is started."""
    from mlflow.utils import env_manager

    command, rest = _mlflow_cli(), words[1:]
    while isinstance(command, click.Group):
        name, *rest = rest
        found = command.get_command(click.Context(command), name)
        if found is None:
            raise click.UsageError(f"mlflow has no command {name}")
        command = found
    values = command.make_context(words[0], list(rest)).params
    if "env_manager" in values:
        env_manager.validate(values["env_manager"] or env_manager.LOCAL)
    return values


@cache
def _mlflow_cli() -> click.Command:
    from mlflow.cli import cli

    return cli
