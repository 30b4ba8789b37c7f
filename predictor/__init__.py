"""Predicts, before a LoRA fine-tune is paid for, the score that it will reach.

>>> import predictor
>>> predictor.load(stage="Production").rank(["a.json", "b.jsonl"])          # probes the datasets first
>>> predictor.load(stage="Production").predict([{"probe/initial_loss": 2.1}])  # feature rows, no torch needed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from predictor.schema import keys

if TYPE_CHECKING:
    from predictor.registry import Predictor

__version__ = "0.1.0"


def load(
    stage: str | None = None,
    *,
    version: int | None = None,
    name: str = keys.MODEL_NAME,
    tracking_uri: str | None = None,
) -> Predictor:
    """The registered predictor in a stage (Production when nothing is said), or a version by number.

    Args:
        name: of the registered model.
        tracking_uri: MLflow's store; `MLFLOW_TRACKING_URI`, then `sqlite:///mlflow.db`, when None.

    Raises:
        RegistryError: no such model, version or stage; says what exists. TrackingError: the store does not answer.
    """
    from predictor.flows.predict import load_predictor

    return load_predictor(stage=stage, version=version, name=name, tracking_uri=tracking_uri)
