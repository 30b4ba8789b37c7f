"""Names of datasets and base models, and the files that they stand for."""

from __future__ import annotations

from predictor.config import LAB


def dataset_source(name: str) -> str:
    """The file, folder or hub id behind the name of a dataset; `lab:…` becomes the file that the lab writes."""
    if name == LAB or name.startswith(LAB + ":"):
        from predictor.lab import materialise

        return str(materialise(name))
    return name


def base_source(name: str) -> str:
    """The folder or hub id behind the name of a base model."""
    if name == LAB:
        from predictor.lab import base_model_path

        return str(base_model_path())
    return name
