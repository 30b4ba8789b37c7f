"""Rows of what the base could do before, mixed into training so that less of it is forgotten.

Replay of earlier data is the oldest remedy against catastrophic forgetting (Robins 1995, Catastrophic Forgetting,
Rehearsal and Pseudorehearsal).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import TYPE_CHECKING, Any

from predictor.config import canonical_hash
from predictor.data import Dataset
from predictor.data.example import Example, Message
from predictor.data.formats.messages import prompt_turns
from predictor.errors import DataError
from predictor.tasks.base import Task
from predictor.trial.materials import Materials

if TYPE_CHECKING:
    from predictor.models.render import RenderedRow


class _AsChat:
    """A row that the task does not read, as the conversation that it is."""

    def prompt(self, example: Example) -> list[Message]:
        return list(prompt_turns(example))

    def target(self, example: Example) -> str:
        return example.answer


def replay_count(rows: int, share: float) -> int:
    """How many rows are added to `rows`, so that they are the share of all: the nearest whole number, at least 1.

    The share is taken as it is written in decimals: of 95 rows and 0.05 it is 5 of 100.
    """
    exact = Fraction(str(share))
    return max(1, round(rows * exact / (1 - exact)))


def replay_rows(
    replay: Dataset, task: Task, tokenizer: Any, rows: int, share: float, max_length: int, seed: int
) -> list[RenderedRow]:
    """The rows that are added to `rows` training rows: drawn by the seed, none twice, none longer than max_length.

    A row that the task can use is put as the task puts it, any other as the conversation that it is.

    Raises:
        DataError: too few rows of the file can be used.
    """
    from predictor.models.render import render_rows

    wanted = replay_count(rows, share)
    found: list[RenderedRow] = []
    order = Random(f"replay-{replay.fingerprint}-{seed}").sample(range(len(replay.examples)), len(replay.examples))
    as_chat: Any = _AsChat()
    for position in order:
        example = replay.examples[position]
        if task.accepts(example) is not None and not (example.answer.strip() and prompt_turns(example)[-1].content):
            continue
        [row] = render_rows([example], task if task.accepts(example) is None else as_chat, tokenizer)
        if row.length <= max_length:
            found.append(row)
        if len(found) == wanted:
            return [_named(row, number) for number, row in enumerate(found)]
    raise DataError(
        f"{wanted} rows are to be replayed, {len(found)} of {len(replay.examples)} can be",
        where=replay.source,
        rule=f"replay_share={share:g} of all rows that are trained on, none twice, none over max_length={max_length}",
        fix="a larger file, or a smaller replay_share",
    )


def training_fingerprint(materials: Materials, share: float) -> str:
    """Digest of what is trained on: the dataset's own, and with it what may be replayed, where anything is."""
    own = materials.dataset.fingerprint
    if materials.replay is None:
        return own
    return canonical_hash({"dataset": own, "replay": materials.replayed, "share": share})


def _named(row: RenderedRow, number: int) -> RenderedRow:
    """Under an id of its own: a row of the dataset may have the same."""
    return replace(row, id=f"replay-{number}-{row.id}")
