"""What tuned weights were made from and how, beside the weights: an adapter alone says nothing certain of its base."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from predictor.errors import ModelError
from predictor.models.quantization import Quantization

FILE: Final = "origin.json"


@dataclass(frozen=True)
class Origin:
    """Where an adapter, or a model of which all weights were trained, comes from. An empty text is unknown.

    Attributes:
        base_model: as the user named it.
        base_model_digest: of its weights. model_digest: of its configuration, tokenizer and chat template besides.
        method, task: of the fine-tune.
        quantization: how the base was kept meanwhile; empty: in its own type.
        task_settings: the task's section. task_found: what the task had found in its rows (classes, the scale of
            scores), without which it cannot put a question as it was put in training; empty of a task that finds none.
    """

    base_model: str = ""
    base_model_digest: str = ""
    model_digest: str = ""
    method: str = ""
    task: str = ""
    quantization: str = ""
    double_quantization: bool = True
    task_settings: Mapping[str, Any] = field(default_factory=dict)
    task_found: Mapping[str, Any] = field(default_factory=dict)

    @property
    def quantized(self) -> Quantization | None:
        """How the base is to be loaded, as it was in the fine-tune."""
        return Quantization(self.quantization, self.double_quantization) if self.quantization else None

    def write(self, folder: Path) -> None:
        """Put it beside the weights."""
        (folder / FILE).write_text(
            json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )


def read_origin(folder: Path) -> Origin | None:
    """The origin of the weights in a folder; None where nobody wrote it down.

    Raises:
        ModelError: the file is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return Origin(**{f.name: content[f.name] for f in dataclasses.fields(Origin) if f.name in content})
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{FILE} cannot be read: {error}", where=str(file), rule="JSON as a fine-tune writes it beside its weights"
        ) from error
