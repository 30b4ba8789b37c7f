"""A model's folder → a version in the MLflow model registry that `mlflow models serve` answers with."""

from __future__ import annotations

import tempfile
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

from huggingface_hub import ModelCard
from mlflow import MlflowClient
from mlflow.models import Model

from predictor.registry.faults import registry_faults
from predictor.registry.package import new_version

FOLDER: Final = "language_model"
"""Where a run keeps the model among its artifacts."""
_TASK: Final = "llm/v1/chat"
"""MLflow's name for: `messages` in, a chat completion out, in OpenAI's form."""
_REQUIREMENTS: Final = ("mlflow", "torch", "transformers", "accelerate")


def register_language_model(folder: Path, tokenizer: Any, run_id: str, name: str) -> int:
    """Store a model in MLflow's flavour `transformers` among the artifacts of a run, and register it.

    Args:
        tokenizer: of the folder; MLflow keeps its class, and reads it by that.

    Returns:
        The number of the version.

    Raises:
        RegistryError: the registry or the artifact store refuses.
    """
    import mlflow.transformers
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory(prefix="predictor-model-") as scratch, registry_faults(f"registering '{name}'"):
        model, source = Path(scratch, FOLDER), str(folder.resolve())
        parts = {
            # Of a path alone MLflow 3.17 cannot make a model with transformers 5.
            "model": AutoModelForCausalLM.from_pretrained(source),
            "tokenizer": tokenizer,
        }
        mlflow.transformers.save_model(
            parts,
            str(model),
            task=_TASK,
            model_card=ModelCard((folder / "README.md").read_text(encoding="utf-8")),  # else it is looked for in a hub
            mlflow_model=Model(artifact_path=FOLDER, run_id=run_id),
            pip_requirements=[f"{package}=={installed(package)}" for package in _REQUIREMENTS],
        )
        client = MlflowClient()
        client.log_artifacts(run_id, str(model), FOLDER)
        return new_version(client, name, run_id, {}, folder=FOLDER)
