"""What a named base model is: a name instead of a folder, with its origin, its licence and the way to make it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from predictor.catalog import Catalog
from predictor.errors import ModelError
from predictor.models.digests import weights_digest
from predictor.progress import Progress

DECODER: Final = "decoder"
"""Continues a text: a causal language model."""
ENCODER: Final = "encoder"
"""Reads a text and says what it is; it writes none."""


@dataclass(frozen=True)
class NamedBase:
    """A base model that `-P base_model=…` knows by a name.

    Attributes:
        name: by which it is known.
        kind: :data:`DECODER` or :data:`ENCODER`.
        source: where its files come from, with their version.
        sha256: of the weights' file there; empty where the project made the weights itself.
        licence: SPDX identifier.
        megabytes: that it takes on disk.
        place: tells the folder in which it lies, or will lie; needs no torch and no network.
        bring: makes sure that it lies there whole, and tells the folder. Both raise ModelError.
    """

    name: str
    kind: str
    source: str
    sha256: str
    licence: str
    megabytes: int
    place: Callable[[], Path]
    bring: Callable[[Progress], Path]

    @property
    def folder(self) -> Path | None:
        """Where it lies, None when it is not on this machine."""
        with contextlib.suppress(ModelError):  # a package that would carry it is not installed
            if (folder := self.place()).is_dir():
                return folder
        return None

    @property
    def digest(self) -> str:
        """Of its weights, as runs on it carry it; empty when it is not on this machine."""
        return weights_digest(str(self.folder)) if self.folder else ""


BASES: Catalog[NamedBase] = Catalog("base model")
"""The base models that have names."""


def register(base: NamedBase) -> None:
    """Make a base model known by its name."""
    BASES.add(base.name, base)
