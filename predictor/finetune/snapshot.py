"""Everything that a fine-tune needs to go on as if it had never stopped, as tensors and JSON, and back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from array import array
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from predictor.config import canonical_hash
from predictor.finetune.settings import Hyperparameters
from predictor.finetune.tensor_file import open_tensors, write_tensors
from predictor.models.render import RenderedRow

TENSORS = "tensors.safetensors"
STATE = "state.json"


@dataclass
class Snapshot:
    """A moment of a training on its way to disk: tensors by name, and JSON values by part. Floats survive both exactly.

    The tensors of a CPU are those of the training, not copies: write them before the next step changes them.
    """

    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)

    def put(self, part: str, tensors: Mapping[str, torch.Tensor], values: Any = None) -> None:
        """Add a part: its tensors, brought to the CPU, and its JSON values."""
        self.tensors |= {f"{part}/{name}": tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        self.state[part] = values

    @property
    def size(self) -> int:
        """Bytes of the tensors, which are nearly all of the files."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def write(self, folder: Path) -> None:
        """Make the two files in a folder.

        Raises:
            OSError: they cannot be written.
        """
        write_tensors(folder / TENSORS, self.tensors)
        (folder / STATE).write_bytes(json.dumps(self.state).encode())


class SavedSnapshot:
    """A snapshot on disk, its tensors read one by one.

    Attributes:
        state: the JSON values by part.
    """

    def __init__(self, folder: Path) -> None:
        self.state: dict[str, Any] = json.loads((folder / STATE).read_bytes())
        self._tensors = folder / TENSORS

    def part(self, part: str, *, mapped: bool = False) -> AbstractContextManager[Mapping[str, torch.Tensor]]:
        """The tensors of a part, as :func:`~predictor.finetune.tensor_file.open_tensors` gives them."""
        return open_tensors(self._tensors, part + "/", mapped=mapped)


def trainable(model: Any) -> dict[str, torch.Tensor]:
    """The trained weights by name: parameters, not copies."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def put_back(model: Any, saved: Mapping[str, torch.Tensor]) -> None:
    """Write saved values into the trained weights."""
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter.copy_(saved[name])


def random_states() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Where the generators of torch (CPU and current GPU), numpy and Python stand."""
    tensors = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["cuda"] = torch.cuda.get_rng_state()
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    values = {
        "python": random.getstate(),
        "numpy": [kind, np.asarray(keys).tolist(), position, has_gauss, gauss],
    }
    return tensors, values


def set_random_states(tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
    """Undo every draw since :func:`random_states`."""
    torch.set_rng_state(tensors["cpu"])
    if "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"])
    kind, keys, position, has_gauss, gauss = values["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))
    number, internal, gauss_next = values["python"]
    random.setstate((number, tuple(internal), gauss_next))


def optimizer_parts(optimizer: Any) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """The optimizer's state as tensors `<parameter>/<name>`, and its groups."""
    saved = optimizer.state_dict()
    tensors = {f"{i}/{name}": value for i, entry in saved["state"].items() for name, value in entry.items()}
    return tensors, saved["param_groups"]


def load_optimizer(optimizer: Any, tensors: Mapping[str, torch.Tensor], groups: Sequence[Mapping[str, Any]]) -> None:
    """Put the optimizer's state back."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split("/", 1)
        state.setdefault(int(index), {})[name] = value
    # JSON knows no tuples; AdamW's betas are one.
    as_saved = [{k: tuple(v) if k == "betas" else v for k, v in group.items()} for group in groups]
    optimizer.load_state_dict({"state": state, "param_groups": as_saved})


def trainer_values(state: Any) -> dict[str, Any]:
    """A TrainerState as JSON values, without its log: the curves are kept apart, and once."""
    return {**dataclasses.asdict(state), "log_history": []}


def claims(
    identity: str,
    model: Any,
    hp: Hyperparameters,
    seed: int,
    rows: Sequence[RenderedRow],
    dev_rows: Sequence[RenderedRow],
    watched_steps: int,
) -> dict[str, str]:
    """What a checkpoint and the fine-tune that would go on from it must agree in.

    The caller's identity comes first; the rest is seen here, so that a changed tokenizer, model or library, which no
    identity of the caller's may cover, cannot lead to a mixture of two fine-tunes.
    """
    shapes = [[name, list(p.shape), str(p.dtype), p.requires_grad] for name, p in model.named_parameters()]
    device = next(model.parameters()).device.type
    return {
        "identity": identity,
        "inputs": canonical_hash(
            {
                "hp": hp.values(),
                "seed": seed,
                "rows": _digest(rows),
                "dev_rows": _digest(dev_rows),
                "watched_steps": watched_steps,
            }
        ),
        "parameters": canonical_hash({"parameters": shapes}),
        "made_with": ", ".join(
            f"{name} {version(name)}" for name in ("torch", "transformers", "trl", "peft", "accelerate")
        )
        + f" on {device}",
    }


def _digest(rows: Sequence[RenderedRow]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(array("q", [len(row.prompt_ids), *row.prompt_ids, len(row.completion_ids), *row.completion_ids]))
        digest.update(array("q", [place for span in row.earlier for place in span]))
    return digest.hexdigest()
