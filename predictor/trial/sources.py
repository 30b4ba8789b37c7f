"""Names of datasets and base models, and the files that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from predictor.config import LAB, Expression, parse_name
from predictor.errors import ModelError
from predictor.progress import SILENT, Progress

if TYPE_CHECKING:
    from predictor.catalog import Catalog
    from predictor.models.bases import NamedBase

_WHAT: Final = {
    "decoder": "a decoder; it writes answers",
    "encoder": "an encoder; it classifies or rates and writes no answers",
}
_ASKED: Final = {"decoder": "a decoder (a causal language model)", "encoder": "an encoder"}


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


def named_bases() -> Catalog[NamedBase]:
    """The base models that have names, the embedded one among them."""
    import predictor.lab.named  # noqa: F401 - it registers itself
    from predictor.models.bases import BASES

    return BASES


def base_source(name: str, kind: str = "decoder") -> str:
    """The folder or hub id behind the name of a base model; the folder may not be there yet.

    Args:
        kind: what is asked for, `decoder`, `encoder` or `any`. A folder or hub id says what it is when it is loaded.

    Raises:
        ModelError: the name stands for a model of the other kind.
    """
    base = _named(name, kind)
    return str(base.place()) if base else name


def ready_base(name: str, progress: Progress = SILENT, kind: str = "decoder") -> str:
    """The same, with the folder of a named base model made, should it not be there.

    Raises:
        ModelError: it is of the other kind, or cannot be had.
    """
    base = _named(name, kind)
    return str(base.bring(progress)) if base else name


def _named(name: str, kind: str) -> NamedBase | None:
    bases = named_bases()
    if name not in bases:
        return None
    base = bases.get(name)
    if kind not in ("any", base.kind):
        others = ", ".join(sorted(each for each, other in bases if other.kind == kind))
        raise ModelError(
            f"{name} is {_WHAT[base.kind]}",
            where=f"-P base_model={name}",
            rule=f"asked for is {_ASKED[kind]}: {others}, a folder, or a hub id OWNER/NAME",
            fix="mlflow run . -e bases lists the names with their kind",
        )
    return base
