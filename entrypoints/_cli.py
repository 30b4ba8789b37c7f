"""What every entry point shares: flags from a configuration, progress bars, one clear message on failure."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from predictor import environment, interrupts, masking
from predictor.config import CONFIG, CONFIG_PARAMETER, Parameter, all_parameters, from_strings
from predictor.errors import ConfigError, PredictorError
from predictor.models.device import refuse_launcher
from predictor.progress import Progress

C = TypeVar("C")

EXIT_FAULT = 1
EXIT_INTERRUPTED = 130


def main(
    config_class: type[C],
    flow: Callable[[C, Progress], int | None],
    argv: Sequence[str] | None = None,
    *,
    launched: bool = False,
) -> int:
    """Parse the flags of `config_class`, run `flow`, and turn what it raises into one message and an exit status.

    Args:
        config_class: a frozen dataclass whose fields carry `help` in their metadata.
        flow: gets the configuration and the progress; returns an exit status, None meaning 0.
        argv: the flags; those of the process when None.
        launched: it may be one of several processes of a launcher, which `flow` joins.

    Returns:
        0, 1 after a fault, 130 after an interruption.
    """
    environment.prepare()
    arguments = list(sys.argv[1:] if argv is None else argv)
    environment.quiet_libraries()
    interrupts.install()
    masking.install()
    bar = Bars()
    try:
        if not launched:
            refuse_launcher()
        given = texts(config_class, arguments, sys.modules["__main__"].__doc__ or "")
        return flow(from_strings(config_class, given), bar) or 0
    except PredictorError as error:
        bar.close()
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAULT
    except KeyboardInterrupt as error:
        bar.close()
        print(f"interrupted by {getattr(error, 'signal_name', 'SIGINT')}: the run is marked KILLED", file=sys.stderr)
        return EXIT_INTERRUPTED
    except ModuleNotFoundError as error:
        bar.close()
        print(f"error: {error}\n  fix: activate the environment (make venv; . .venv/bin/activate)", file=sys.stderr)
        return EXIT_FAULT
    finally:
        bar.close()


def look(run_id: str) -> None:
    """Say where a person sees the run beside the others of its experiment."""
    from predictor.tracking.face import where_to_look

    for line in where_to_look(run_id):
        print(line)


def texts(config_class: type, arguments: Sequence[str], doc: str = "") -> dict[str, str]:
    """The text of each flag, `--name value` or `--name=value`; a flag without a value means true.

    Raises:
        ConfigError: a flag given twice, or a word that belongs to no flag. What is wrong with names and values is said
            where they are read.
    """
    given, unknown = parser(config_class, doc).parse_known_args(_joined(arguments))
    found = {name: values for name, values in vars(given).items() if values is not None}
    for name, values in found.items():
        if len(values) > 1:
            raise ConfigError(f"{name} is given {len(values)} times", where=f"--{name}", rule="each parameter once")
    stray = {word.lstrip("-").partition("=")[0]: word.partition("=")[2] for word in unknown}
    return {name: values[0] for name, values in found.items()} | stray


def parser(config_class: type, doc: str) -> argparse.ArgumentParser:
    """The flags of a configuration, with their defaults and effects in the help."""
    made = argparse.ArgumentParser(
        prog=sys.argv[0].rsplit("/", 1)[-1],
        usage="mlflow run . -e ENTRY_POINT -P NAME=VALUE …, or python -m entrypoints.ENTRY_POINT --NAME VALUE …",
        description=doc.strip(),
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=110),
    )
    for each in flags(config_class).values():
        made.add_argument(
            f"--{each.name}",
            action="append",
            nargs="?",
            const="true",
            metavar=_METAVAR[each.kind],
            help=f"{each.help} [{each.default!r}]".replace("%", "%%"),
        )
    return made


def flags(config_class: type) -> dict[str, Parameter]:
    """The parameters of an entry point, those of plug-ins that are not the default, and the file that may hold them."""
    return {CONFIG: CONFIG_PARAMETER, **all_parameters(config_class)}


_METAVAR = {bool: "BOOL", int: "WHOLE", float: "NUMBER", str: "TEXT"}


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--name value` as one word: a value such as -1e-3 would pass for a flag."""
    words: list[str] = []
    for argument in arguments:
        if words and words[-1].startswith("--") and "=" not in words[-1] and not argument.startswith("--"):
            words[-1] += f"={argument}"
        else:
            words.append(argument)
    return words


class Bars:
    """Progress on the terminal, one bar a stage."""

    def __init__(self) -> None:
        self._bar = None

    def stage(self, name: str, total: int = 0) -> None:
        from tqdm import tqdm

        self.close()
        # A log file gets a line every few seconds instead of ten a second.
        self._bar = tqdm(
            total=total or None,
            desc=name,
            file=sys.stderr,
            mininterval=0.1 if sys.stderr.isatty() else 5.0,
            dynamic_ncols=True,
            leave=True,
        )

    def advance(self, steps: int = 1, **values: float | str) -> None:
        if self._bar is not None:
            if values:
                self._bar.set_postfix(
                    {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in values.items()}, refresh=False
                )
            self._bar.update(steps)

    def note(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
