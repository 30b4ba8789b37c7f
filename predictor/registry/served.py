"""The model that MLflow serves: this file itself is stored with each version (models from code, no pickle)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel

from predictor.meta.bundle import Bundle
from predictor.table import as_frame


class ServedPredictor(PythonModel):
    """Feature rows in, one row of prediction, interval and domain flag for each out."""

    def load_context(self, context: Any) -> None:
        """Read the bundle, which is the one artifact of the version."""
        self.bundle = Bundle.load(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """What :meth:`predictor.registry.Predictor.predict` gives; there are no `params`."""
        return self.bundle.predict(as_frame(model_input))


mlflow.models.set_model(ServedPredictor())
