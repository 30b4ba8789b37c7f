"""What a method of fine-tuning offers: its section, which weights it trains, what they take, and how they are saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from predictor.catalog import Catalog
from predictor.models.quantization import Quantization

Shapes = Mapping[str, tuple[int, int]]
"""Linear module of one transformer layer → (inputs, outputs)."""


@dataclass(frozen=True)
class Footprint:
    """What a method trains in one transformer layer, and what it adds to the layer's activations.

    Attributes:
        parameters: trained weights in one layer.
        outside: trained weights outside the layers (embeddings, head).
        dropped_inputs: numbers for each token of inputs that pass a dropout of the method's own.
        in_place: what is trained are weights of the model itself, not matrices beside them.
        weight_bytes: that one frozen weight of a linear module takes; None: as many as the device's type has.
    """

    parameters: int
    outside: int = 0
    dropped_inputs: int = 0
    in_place: bool = False
    weight_bytes: float | None = None


class Method(Protocol):
    """A way to change weights.

    One that wants its base in fewer bits says so by a further member, `quantization(settings)`: see
    :func:`quantization_of`.
    """

    @property
    def settings(self) -> type:
        """The dataclass of its section; the fields' names are hyperparameters and occur in no other section."""
        ...

    @property
    def folder(self) -> str:
        """Where a run keeps the result among its artifacts."""
        ...

    def apply(self, model: Any, settings: Any) -> Any:
        """The model with exactly the weights trainable that this method trains. Drawn at random after the seed is set.

        Raises:
            ConfigError: the settings do not fit the model.
        """
        ...

    def footprint(self, shapes: Shapes, outside: int, settings: Any) -> Footprint:
        """What it trains of a model.

        Args:
            shapes: of one layer's linear modules.
            outside: weights of embeddings and head.
        """
        ...

    def save(self, model: Any, tokenizer: Any, folder: Path) -> None:
        """Write the result as safetensors that plain transformers or peft loads."""
        ...


METHODS: Final[Catalog[Method]] = Catalog("method")
"""The methods by the names that `-P method=…` accepts."""


def quantization_of(method: str, settings: Any) -> Quantization | None:
    """How the base model of a method is loaded; None for its own type."""
    asked = getattr(METHODS.get(method), "quantization", None)
    found: Quantization | None = asked(settings) if asked else None
    return found
