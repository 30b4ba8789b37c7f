"""Fine-tunes that come with the package, so that a predictor can be had before any fine-tune of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from predictor.errors import ConfigError

ABOUT: Final = {
    "lab": "question answering in the embedded world, embedded base model",
    "minilm": "all-MiniLM-L6-v2 as a classifier on SST-2 and Reuters R8",
    "smollm2": "SmolLM2-135M-Instruct on SQuAD, on question files that language models wrote, and on spoilt ones",
}
"""Set of runs → what was fine-tuned on what."""


def runs_path(name: str = "lab") -> Path:
    """The file of a set.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in ABOUT:
        raise ConfigError(
            f"no runs of this name come with the package: '{name}'",
            where="-P set",
            rule=f"one of: {', '.join(sorted(ABOUT))}",
        )
    return Path(__file__).parent / f"{name}.parquet"


def told() -> str:
    """The sets in words, for a parameter's help."""
    return "; ".join(f"{name} ({about})" for name, about in ABOUT.items())
