"""Which dataset format a file is in, told from its first rows, with the reason for the guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from predictor.catalog import Catalog
from predictor.data.formats.alpaca import Alpaca
from predictor.data.formats.base import Format, Guess
from predictor.data.formats.classification import Classification
from predictor.data.formats.messages import Messages
from predictor.data.formats.prompt_completion import PromptCompletion
from predictor.data.formats.score import Score
from predictor.data.formats.sharegpt import ShareGPT
from predictor.data.formats.squad import Squad
from predictor.data.formats.summarization import Summarization
from predictor.data.rejection import shown
from predictor.errors import DataError

FORMATS: Catalog[Format] = Catalog("dataset format")
"""Every format, the most telling shapes first: between equal claims the earlier one wins."""
_ALL: tuple[Format, ...] = (
    Squad(),
    Messages(),
    ShareGPT(),
    Alpaca(),
    Score(),
    Summarization(),
    Classification(),
    PromptCompletion(),
)
for _format in _ALL:
    FORMATS.add(_format.name, _format)

SAMPLE = 200
"""Raw rows from which the format is told."""


def detect(sample: Sequence[Any], wanted: str | Format, where: str) -> tuple[str, Guess]:
    """The format's name and its claim.

    Args:
        sample: the first raw rows, unparsed rows left out.
        wanted: a format's name, `auto`, or a format that is told more than its name (the columns of a table).

    Raises:
        ConfigError: `wanted` is no format.
        DataError: no row has the shape of the wanted format, or of any format.
    """
    if wanted != "auto":
        chosen = FORMATS.get(wanted, where="format") if isinstance(wanted, str) else wanted
        guess = chosen.detect(sample)
        if guess is None:
            raise DataError(
                f"no sampled row is in the format '{chosen.name}'; {_seen(sample)}",
                where=where,
                rule=f"{chosen.name} needs {chosen.needs}",
                fix="leave format=auto, or rename the fields",
            )
        return chosen.name, guess
    guesses = [(name, guess) for name, entry in FORMATS if (guess := entry.detect(sample)) is not None]
    if not guesses:
        needs = "; ".join(f"{name}: {entry.needs}" for name, entry in FORMATS)
        raise DataError(
            f"the rows are in no known format; {_seen(sample)}",
            where=where,
            rule=needs,
            fix="rename the fields to those of the nearest format",
        )
    return max(guesses, key=lambda pair: pair[1].share)


def _seen(sample: Sequence[Any]) -> str:
    if not sample:
        return "no row could be parsed"
    return f"the first row is {shown(sample[0], 200)}"
