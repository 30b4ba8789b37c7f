"""MLflow's registry errors as ours: one clear message instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException

from predictor.errors import RegistryError
from predictor.masking import cause


@contextmanager
def registry_faults(what: str) -> Iterator[None]:
    """Raise RegistryError for any MLflow error in the block; `what` says what was being done."""
    try:
        yield
    except MlflowException as error:
        raise RegistryError(
            f"{what} failed: {error.message.splitlines()[0]}",
            where="MLflow model registry",
            fix="check the tracking URI, and that the store and its artifact folder can be read and written",
        ) from cause(error)
    except OSError as error:
        raise RegistryError(
            f"{what} failed: {error}", where="model artifacts", fix="check that the folder is there"
        ) from cause(error)
