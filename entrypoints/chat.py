"""A conversation with a base or tuned model, in the terminal or over a pipe; no run is made of it."""

from __future__ import annotations

import signal
import sys

from entrypoints import _cli
from predictor.progress import Progress
from predictor.serving.conversation import ChatConfig
from predictor.serving.opening import TunedRun

CONFIG = ChatConfig


def run(config: ChatConfig, progress: Progress) -> None:
    from predictor.config import check
    from predictor.serving.conversation import Conversation
    from predictor.serving.opening import open_model

    check(config)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C breaks off one answer, again and again
    opened = open_model(config.model, _fetch, progress, base_model=config.base_model)
    talk = Conversation(opened, config, say=_say, note=lambda text: print(text, file=sys.stderr, flush=True))
    terminal = sys.stdin.isatty()
    if terminal:
        print(f"{config.model}; /help lists the commands")
    while (line := _line(terminal)) is not None:
        before = len(talk.turns)
        if not talk.hear(line):
            break
        if len(talk.turns) != before:
            print(flush=True)


def _say(piece: str) -> None:
    print(piece, end="", flush=True)


def _fetch(run_id: str) -> TunedRun:
    from predictor.tracking.tuned import fetch_tuned

    return fetch_tuned(run_id)


def _line(terminal: bool) -> str | None:
    """The next line, with those that it goes on in; None at the end."""
    lines: list[str] = []
    while True:
        try:
            text = input(("… " if lines else "> ") if terminal else "")
        except EOFError:
            return "\n".join(lines) if lines else None
        except KeyboardInterrupt:
            if not terminal:
                raise
            print()
            lines.clear()
            continue
        if not text.endswith("\\"):
            return "\n".join([*lines, text])
        lines.append(text[:-1])


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
