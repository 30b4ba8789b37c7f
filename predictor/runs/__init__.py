"""Fine-tunes that come with the package, so that a predictor can be had before any fine-tune of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from predictor.errors import ConfigError

ABOUT: Final = {
    "lab": "question answering in the embedded world, embedded base model",
    "smollm2": "question answering on SQuAD, SmolLM2-135M-Instruct",
    "minilm": "text classification on SST-2 and Reuters R8, all-MiniLM-L6-v2",
}
"""Set of runs → what was fine-tuned on what."""


def runs_path(name: str = "lab") -> Path:
    """The file of a set.

    Raises:
        ConfigError: there is none of this name.
    """
    path = Path(__file__).parent / f"{name}.parquet"
    if name not in ABOUT or not path.is_file():
        raise ConfigError(
            f"no runs of this name come with the package: '{name}'",
            where="-P set",
            rule=f"one of: {', '.join(sorted(there()))}",
        )
    return path


def there() -> dict[str, str]:
    """The sets that this version of the package holds, and what they are."""
    return {name: about for name, about in ABOUT.items() if (Path(__file__).parent / f"{name}.parquet").is_file()}
