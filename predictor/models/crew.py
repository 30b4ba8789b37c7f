"""Several processes that a launcher has started to train one fine-tune together (`accelerate launch`, `torchrun`).

The first one does all of the fine-tune; the others train with it and nothing else. What it decides by what it sees of
its machine, they are told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from predictor.errors import ConfigError, TrainingError

T = TypeVar("T")

_PATIENCE: Final = timedelta(days=2)
"""The others wait while the first one measures and evaluates; a process that dies is seen by the launcher."""
_SHARDED: Final = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}


@dataclass(frozen=True)
class Crew:
    """This process among all.

    Attributes:
        rank: its number. size: processes in all. local: its number on its machine. here: processes on its machine.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    here: int = 1

    @property
    def leads(self) -> bool:
        """It is the first one."""
        return self.rank == 0


_ALONE: Final = Crew()
_current = _ALONE


def current() -> Crew:
    """The crew that this process has joined; itself alone otherwise."""
    return _current


@contextlib.contextmanager
def joined() -> Iterator[Crew]:
    """Be one of the processes of the launcher, if there is one.

    Raises:
        ConfigError: the launcher is to divide the model itself. TrainingError: the processes do not find one another.
    """
    global _current
    found = _launched()
    if found.size == 1:
        yield _ALONE
        return
    import torch
    import torch.distributed as dist

    gpus = torch.cuda.is_available()
    if gpus:
        torch.cuda.set_device(found.local)
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"process {found.rank} of {found.size} does not find the others: {error}",
            where="RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT",
            rule="a launcher sets these for each of its processes",
            fix="accelerate launch --num_processes N -m entrypoints.finetune …",
        ) from error
    _current = found
    try:
        yield found
    finally:
        _current = _ALONE
        dist.destroy_process_group()


def agree(value: T) -> T:
    """What the first process gives, in every process; a value that can be pickled. All of them must call it."""
    if _current.size == 1:
        return value
    import torch.distributed as dist

    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def _launched() -> Crew:
    size = _number("WORLD_SIZE", 1)
    if size < 2:
        return _ALONE
    for variable, name in _SHARDED.items():
        if os.environ.get(variable, "").lower() in ("1", "true"):
            raise ConfigError(
                f"the launcher is to divide the model by {name}",
                where=variable,
                rule="every process holds the whole base model and trains it on its part of the rows",
                fix="accelerate launch --multi_gpu; method=qlora for a base that does not fit one GPU",
            )
    return Crew(_number("RANK", 0), size, _number("LOCAL_RANK", 0), _number("LOCAL_WORLD_SIZE", size))


def _number(name: str, default: int) -> int:
    given = os.environ.get(name, "").strip()
    if given and not given.isdecimal():
        raise ConfigError(
            f"{name}='{given}' is no whole number",
            where=f"environment variable {name}",
            rule="a launcher sets it to a number of processes, or of one",
            fix="leave it out where no launcher is meant",
        )
    return int(given or default)
