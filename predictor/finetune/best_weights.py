"""The weights of the lowest eval/loss so far: in memory where they are few, in a file where they are many."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from predictor.errors import TrainingError
from predictor.finetune.snapshot import put_back
from predictor.finetune.tensor_file import open_tensors, write_tensors

HELD_BYTES = 96_000_000
"""Up to so many bytes are held in memory, on the device. The LoRA matrices of the standard setting on a base of 7B
weights have 81 MB and stay there; a copy of all weights of a small base (540 MB of 135M in float32) would be a quarter
of what training them takes, and lies in a file instead."""


class BestWeights:
    """One set of weights, replaced by each better one.

    Args:
        folder: for the file; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._held: dict[str, torch.Tensor] = {}
        self._file = folder / "best.safetensors"
        self._in_file = False

    def keep(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take a copy of the weights in place of the one before; of none, when there is none yet.

        Raises:
            TrainingError: they are many and the disk does not take them.
        """
        size = sum(tensor.nbytes for tensor in weights.values())
        if size <= HELD_BYTES:
            self._held = {name: tensor.detach().clone() for name, tensor in weights.items()}
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            # Removed first: the disk need not hold two sets, and a mapping of the old one stays what it was.
            self._file.unlink(missing_ok=True)
            write_tensors(self._file, {name: tensor.detach().contiguous() for name, tensor in weights.items()})
        except OSError as error:
            raise TrainingError(
                f"the best weights so far ({size / 1e6:.3g} MB) cannot be written: {error.strerror or error}",
                where=str(self._file),
                rule="early stopping keeps one copy of the trained weights on disk when they are many",
                fix="make room, or set -P checkpoint_dir (without checkpoints: TMPDIR) to a larger disk; "
                "or set -P early_stopping_patience=0",
            ) from error
        self._in_file = True

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """What is kept, to be written elsewhere and not to be changed; nothing before the first :meth:`keep`.

        Raises:
            TrainingError: the file cannot be read again.
        """
        if not self._in_file:
            return self._held
        try:
            with open_tensors(self._file, mapped=True) as kept:
                return dict(kept)
        except (OSError, SafetensorError) as error:
            raise self._unreadable(error) from error

    def put_back(self, model: Any) -> None:
        """Give the model what is kept; nothing changes when nothing is.

        Raises:
            TrainingError: the file cannot be read again.
        """
        if self._held:
            put_back(model, self._held)
        if self._in_file:
            try:
                with open_tensors(self._file) as kept:
                    put_back(model, kept)
            except (OSError, SafetensorError) as error:
                raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> TrainingError:
        return TrainingError(
            f"the best weights so far cannot be read again: {getattr(error, 'strerror', None) or error}",
            where=str(self._file),
            rule="the file stays as it was written while the training lasts",
            fix="start again; set -P checkpoint_dir (without checkpoints: TMPDIR) to a folder that nothing cleans up",
        )
