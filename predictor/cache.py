"""Where this project keeps what it can make again, and what waits for a store."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$PREDICTOR_CACHE`, or `~/.cache/finetune-predictor` where that is unset or empty. It may not exist yet."""
    return Path(os.environ.get("PREDICTOR_CACHE") or Path.home() / ".cache" / "finetune-predictor")
