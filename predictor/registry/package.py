"""A trained predictor → a version in the MLflow model registry."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version as installed
from pathlib import Path

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema

import predictor
from predictor.meta.bundle import Bundle
from predictor.registry.faults import registry_faults
from predictor.schema import keys
from predictor.table import FeatureSchema

NAME = keys.MODEL_NAME
FOLDER = "predictor"
"""Where a run keeps the model among its artifacts."""
RUNS_FILE = "training_runs.json"

# What a served version needs of this package, and no more: it is stored with the version, so that serving does not
# depend on a checkout, nor on a later one.
_CODE = ("__init__.py", "errors.py", "masking.py", "catalog.py", "config", "schema", "table", "meta")
_REQUIREMENTS = ("mlflow", "lightgbm", "numpy", "pandas")


def register(
    bundle: Bundle,
    run_id: str,
    example: pd.DataFrame,
    *,
    name: str = NAME,
    training_runs: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> int:
    """Store a predictor among the artifacts of a run, and register it.

    The version is a models-from-code pyfunc over JSON and LightGBM's text format: nothing is unpickled when it loads.

    Args:
        run_id: the run that trained it.
        example: a few feature rows, stored as the input example.
        name: of the registered model.
        training_runs: ids of the runs that taught it, stored beside the model.
        tags: of the version: table digest, validation figures.

    Returns:
        The number of the version.

    Raises:
        RegistryError: the registry or the artifact store refuses.
    """
    with tempfile.TemporaryDirectory(prefix="predictor-model-") as scratch, registry_faults(f"registering '{name}'"):
        folder, code, model = Path(scratch, "bundle"), Path(scratch, "code", "predictor"), Path(scratch, FOLDER)
        folder.mkdir()
        bundle.save(folder)
        (folder / RUNS_FILE).write_text(json.dumps(list(training_runs)))
        _copy_code(code)
        mlflow.pyfunc.save_model(
            path=model,
            mlflow_model=Model(artifact_path=FOLDER, run_id=run_id),
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"bundle": str(folder)},
            code_paths=[str(code)],
            signature=signature(bundle.schema),
            input_example=bundle.schema.frame(example).astype(_plain(bundle.schema)),
            pip_requirements=[f"{package}=={installed(package)}" for package in _REQUIREMENTS],
        )
        client = MlflowClient()
        client.log_artifacts(run_id, str(model), FOLDER)
        return new_version(client, name, run_id, dict(tags or {}))


def new_version(client: MlflowClient, name: str, run_id: str, tags: dict[str, str], *, folder: str = FOLDER) -> int:
    """A version of a registered model, made when it is absent, out of a folder among a run's artifacts."""
    if not client.search_registered_models(filter_string=f"name='{name}'", max_results=1):
        try:
            client.create_registered_model(name)
        except MlflowException as error:  # another process may have made it in between
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
    source = f"{client.get_run(run_id).info.artifact_uri}/{folder}"
    return int(client.create_model_version(name, source, run_id=run_id, tags=tags).version)


def signature(schema: FeatureSchema) -> ModelSignature:
    """Every feature, all optional (a missing one is NaN), and what comes out for each row."""
    kinds = {"number": DataType.double, "category": DataType.string}
    outputs = {
        "prediction": DataType.double,
        "lower": DataType.double,
        "upper": DataType.double,
        "unusual": DataType.boolean,
        "unusual_feature": DataType.string,
        "estimator": DataType.string,
    }
    return ModelSignature(
        inputs=Schema([ColSpec(kinds[c.kind], c.name, required=False) for c in schema.columns]),
        outputs=Schema([ColSpec(kind, name) for name, kind in outputs.items()]),
    )


def _plain(schema: FeatureSchema) -> dict[str, str]:
    """Categories as text: an input example is what a client sends."""
    return {c.name: "object" if c.kind == "category" else "float64" for c in schema.columns}


def _copy_code(target: Path) -> None:
    source = Path(predictor.__file__).parent
    target.mkdir(parents=True)
    for part in _CODE:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source / part, target / part)
