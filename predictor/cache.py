"""Where this project keeps what it can make again, and what waits for a store."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from predictor.files import whole_file


def cache_folder() -> Path:
    """`$PREDICTOR_CACHE`, or `~/.cache/finetune-predictor` where that is unset or empty. It may not exist yet."""
    return Path(os.environ.get("PREDICTOR_CACHE") or Path.home() / ".cache" / "finetune-predictor")


def kept(path: Path) -> Any:
    """What is kept there as JSON, which keeps every bit of a float; None where there is no file, or a damaged one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def keep(path: Path, content: Any, otherwise: str) -> None:
    """Write JSON whole or not at all; a folder that cannot be written only costs the time of making it again.

    Args:
        otherwise: how the warning begins that it is not kept.
    """
    try:
        with whole_file(path, encoding="utf-8") as stream:
            json.dump(content, stream)
    except OSError as error:
        warnings.warn(f"{otherwise}: {error}", RuntimeWarning, stacklevel=3)
