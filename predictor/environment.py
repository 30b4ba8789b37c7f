"""Process-wide switches that must be set before MLflow, TRL or the Hugging Face libraries are imported."""

from __future__ import annotations

import os

_SWITCHES = {
    # Usage reports go to third parties; nobody asked for them.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    # The tokenizers' own threads deadlock after a fork and gain nothing on our row counts.
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    # Git output in the log of every run helps nobody; the code revision is a tag.
    "GIT_PYTHON_REFRESH": "quiet",
    # Two lines with addresses for each run that ends, between our own.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # MLflow's own bar between ours.
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}


def prepare() -> None:
    """Set each switch that the user has not set. Safe to call again."""
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)


def quiet_libraries() -> None:
    """Silence the libraries' own bars and notices; warnings and errors stay. Call after :func:`prepare`."""
    import logging
    import warnings

    libraries = ("alembic", "httpx", "sentence_transformers", "transformers", "trl", "accelerate", "bitsandbytes")
    for name in (*libraries, "py.warnings"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    # The libraries warn each other's callers of renamed options; ours are pinned together.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft|trl|accelerate)\.")
    # MLflow warns on every use of stages; we set the alias of the same meaning beside each, so nothing is at risk.
    warnings.filterwarnings("ignore", message=".*stages.*deprecated.*", category=FutureWarning)
