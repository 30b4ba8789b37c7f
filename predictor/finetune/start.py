"""Going on from the weights of an earlier fine-tune: its adapter, and where it was kept the optimizer's state."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from predictor.errors import ConfigError, ModelError
from predictor.finetune.methods import METHODS
from predictor.finetune.settings import Hyperparameters

if TYPE_CHECKING:
    import torch

WEIGHTS: Final = "adapter_model.safetensors"
OPTIMIZER: Final = "optimizer.safetensors"
_RULE: Final = f"a folder with {WEIGHTS}, as a run keeps it under adapter/"


@dataclass(frozen=True)
class Start:
    """The weights that a fine-tune begins with.

    Attributes:
        folder: of the adapter; empty for an untouched base.
        keep_optimizer: the state of the optimizer is taken from it, and kept at the end.
    """

    folder: str = ""
    keep_optimizer: bool = False

    def digest(self) -> str:
        """16 hex digits over all that is taken from the folder; empty for an untouched base.

        Raises:
            ModelError: the folder holds no adapter.
        """
        if not self.folder:
            return ""
        digest = hashlib.sha256()
        for name in (WEIGHTS, *([OPTIMIZER] if self.keep_optimizer else [])):
            file = Path(self.folder).expanduser() / name
            if file.is_file():
                digest.update(name.encode() + file.read_bytes())
            elif name == WEIGHTS:
                raise ModelError("the folder holds no adapter", where=f"-P start_from={self.folder}", rule=_RULE)
        return digest.hexdigest()[:16]

    def apply(self, model: Any, hp: Hyperparameters) -> Any:
        """The model with what the method trains, set to the weights of the earlier fine-tune where there is one.

        Raises:
            ConfigError: the settings do not fit the model, or the method or its settings do not fit the adapter.
        """
        method: Any = METHODS.get(hp.method.name)
        tuned = method.apply(model, hp.method.settings)
        if self.folder:
            if not hasattr(method, "go_on"):
                raise ConfigError(
                    f"method={hp.method.name} cannot go on from an adapter",
                    where=f"-P start_from={self.folder}",
                    rule=_RULE,
                    fix="-P method=lora",
                )
            method.go_on(tuned, Path(self.folder).expanduser() / WEIGHTS)
        return tuned

    @contextlib.contextmanager
    def on(self, model: Any, hp: Hyperparameters) -> Iterator[Any]:
        """The model as the fine-tune finds it, for looking at; the base is as it was afterwards."""
        if not self.folder:
            yield model
            return
        tuned = self.apply(model, hp)
        try:
            yield tuned.eval()
        finally:
            tuned.unload()

    def put_optimizer(self, optimizer: Any) -> None:
        """Give a fresh optimizer the state of the earlier one, if that was kept; its rates stay its own.

        Raises:
            ModelError: the state is of other weights.
        """
        from predictor.finetune.snapshot import load_optimizer
        from predictor.finetune.tensor_file import open_tensors

        file = Path(self.folder).expanduser() / OPTIMIZER
        if not (self.folder and self.keep_optimizer and file.is_file()):
            return
        with open_tensors(file) as tensors:
            state = dict(tensors)
        trained = [weight for group in optimizer.param_groups for weight in group["params"]]
        shapes = {f"{number}/exp_avg": weight.shape for number, weight in enumerate(trained)}
        if {name: each.shape for name, each in state.items() if name.endswith("/exp_avg")} != shapes:
            raise ModelError(
                "the optimizer's state is of other weights",
                where=str(file),
                rule="the state of the very weights that are trained",
                fix="-P keep_optimizer=false, or the settings of the fine-tune that is gone on from",
            )
        load_optimizer(optimizer, state, optimizer.state_dict()["param_groups"])


FRESH: Final = Start()
"""The untouched base."""


def save_optimizer(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the optimizer's state beside an adapter."""
    from predictor.finetune.tensor_file import write_tensors

    write_tensors(folder / OPTIMIZER, {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
