"""What every entry point shares: flags from a config's fields, progress bars, one clear message on failure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from predictor import environment, interrupts, masking
from predictor.config import from_strings, parameters
from predictor.errors import PredictorError
from predictor.progress import Progress

C = TypeVar("C")

EXIT_FAULT = 1
EXIT_INTERRUPTED = 130


def main(config_class: type[C], flow: Callable[[C, Progress], int | None], argv: Sequence[str] | None = None) -> int:
    """Parse the flags of `config_class`, run `flow`, and turn what it raises into one message and an exit status.

    Args:
        config_class: a frozen dataclass whose fields carry `help` in their metadata.
        flow: gets the configuration and the progress; returns an exit status, None meaning 0.
        argv: the flags; those of the process when None.

    Returns:
        0, 1 after a fault, 130 after an interruption.
    """
    environment.prepare()
    arguments = list(sys.argv[1:] if argv is None else argv)
    if any(argument in ("-h", "--help") for argument in arguments):
        print(usage(config_class, sys.modules["__main__"].__doc__ or ""))
        return 0
    environment.quiet_libraries()
    interrupts.install()
    masking.install()
    bar = Bars()
    try:
        return flow(from_strings(config_class, pairs(arguments)), bar) or 0
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


def pairs(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` and `--name=value` as a mapping; a flag without a value means true."""
    values: dict[str, str] = {}
    waiting: str | None = None
    for argument in arguments:
        if argument.startswith("--"):
            if waiting is not None:
                values[waiting] = "true"
            name, equals, value = argument[2:].partition("=")
            waiting = None if equals else name
            if equals:
                values[name] = value
        elif waiting is not None:
            values[waiting] = argument
            waiting = None
        else:
            values[argument] = ""  # from_strings says what a stray word should have been
    if waiting is not None:
        values[waiting] = "true"
    return values


def usage(config_class: type, doc: str) -> str:
    """The help text: what the entry point does, then each parameter with its default and effect."""
    lines = [doc.strip(), "", "parameters (mlflow run: -P NAME=VALUE; here: --NAME VALUE):"]
    for field in parameters(config_class):
        lines.append(f"  {field.name:<22} {field.metadata['help']} [{field.default!r}]")
    return "\n".join(lines)


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
