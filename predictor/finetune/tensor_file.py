"""Tensors in a safetensors file: written from where they lie, read one by one, so that no second set is in memory."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write the file. Tensors on the CPU are not copied; those of a GPU pass through the CPU's memory.

    Raises:
        OSError: it cannot be written, as on a full disk.
    """
    try:
        safetensors.torch.save_file(dict(tensors), path)
    except safetensors.SafetensorError as error:
        # The library tells of a full disk only in words: "I/O error: No space left on device (os error 28)".
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error


@contextlib.contextmanager
def open_tensors(path: Path, part: str = "", *, mapped: bool = False) -> Iterator[Mapping[str, torch.Tensor]]:
    """The tensors of a file whose names begin with `part`, by the rest of their names; each is read when asked for.

    Args:
        mapped: the tensors are views into the file instead of copies: for what is only written on elsewhere. They
            outlive this context, and the file's removal, but not its being written over.

    Raises:
        OSError: the file cannot be read.
        safetensors.SafetensorError: it is no whole safetensors file.
    """
    # Pages of a mapping count as the process's memory while it lasts, so what is copied anyway is read instead.
    with safetensors.safe_open(path, "pt", backend="mmap" if mapped else "pread") as file:
        yield _Tensors(file, part)


class _Tensors(Mapping[str, torch.Tensor]):
    def __init__(self, file: Any, part: str) -> None:
        self._file = file
        self._names = {name[len(part) :]: name for name in file.offset_keys() if name.startswith(part)}

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self._file.get_tensor(self._names[name])
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
