"""Names of datasets and base models, and the files that they stand for."""

from __future__ import annotations

from predictor.config import LAB, Expression, parse_name


def dataset_source(name: str) -> str | Expression:
    """The file, folder or hub id behind the name of a dataset, or an expression over such; either is read by `load`.

    `lab:…` becomes the file that the lab writes.

    Raises:
        ConfigError: the name begins like an expression, or one of the lab, and is none.
    """
    parsed = parse_name(name)
    return parsed.with_leaves(_behind) if isinstance(parsed, Expression) else _behind(parsed)


def _behind(name: str) -> str:
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
