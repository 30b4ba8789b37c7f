"""How much memory a fine-tune may use here and now; no torch at the top."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from predictor.errors import ConfigError
from predictor.models.crew import current
from predictor.models.device import Device

SHARE: Final = "PREDICTOR_MEMORY_SHARE"
"""Environment variable: bytes of main memory that this process may use. A sweep sets it for its workers."""
GPU_SHARERS: Final = "PREDICTOR_GPU_SHARERS"
"""Environment variable: processes that share this process's GPU. A sweep sets it for its workers."""
_CGROUPS = Path("/sys/fs/cgroup")
_M_MMAP_THRESHOLD: Final = -3  # malloc.h


@dataclass(frozen=True)
class Room:
    """Bytes that may still be used, and in words whose they are."""

    bytes: int
    source: str


def room(device: Device) -> Room:
    """What is free for a fine-tune: the whole card of a GPU, or what is left of main memory.

    Main memory is that of the machine or of the container's limit (cgroup), whichever leaves less; and in a worker of a
    sweep not more than its share, of which the worker's own memory is taken off.

    Raises:
        ConfigError: an environment variable of a share is no whole number.
    """
    if device.kind == "cuda":
        sharers = max(1, _given(GPU_SHARERS) or 1)
        source = "memory of the GPU" if sharers == 1 else f"memory of the GPU, which {sharers} workers share"
        return Room(device.memory_bytes // sharers, source)
    return _room_of_this_process()


def spare(kind: str) -> int:
    """Bytes that are free at this moment, beside what is there already, on a device of a kind: `cpu` or `cuda`."""
    if kind != "cuda":
        return _room_of_this_process().bytes
    import torch

    free, _ = torch.cuda.mem_get_info()
    return int(free + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())


def _room_of_this_process() -> Room:
    _give_back_freed()
    free, share, sharers = main_memory(), _given(SHARE), current().here
    if share is None:
        return free if sharers == 1 else Room(free.bytes // sharers, f"{free.source}, which {sharers} processes share")
    own = psutil.Process().memory_info()
    # Files that are mapped, such as a base model's weights, are the system's to drop.
    left = max(0, share - (own.rss - getattr(own, "shared", 0)))
    return min(free, Room(left, f"this process's share of main memory, {SHARE}"), key=lambda each: each.bytes)


def main_memory() -> Room:
    """What the machine, or the limit of the container, leaves free of main memory."""
    rooms = [Room(psutil.virtual_memory().available, "available memory of the machine"), *_limits()]
    return min(rooms, key=lambda each: each.bytes)


def shares(workers: int, gpus: int) -> dict[str, str]:
    """Environment variables by which `workers` processes, which begin now, know what each of them may use.

    Raises:
        ConfigError: an environment variable of a share is no whole number.
    """
    own = _given(SHARE)
    free = main_memory().bytes if own is None else min(own, main_memory().bytes)
    found = {SHARE: str(free // workers)}
    return found | ({GPU_SHARERS: str(-(-workers // gpus))} if gpus else {})


def _given(name: str) -> int | None:
    value = os.environ.get(name, "").strip()
    if value and not value.isdecimal():
        raise ConfigError(
            f"{name}='{value}' is no whole number",
            where=f"environment variable {name}",
            rule="bytes of main memory" if name == SHARE else "a number of processes",
            fix="set a whole number, or leave it away",
        )
    return int(value) if value else None


def _limits() -> Iterator[Room]:
    """What each cgroup around this process leaves, of version 2 or 1; nothing where there are none."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                top, names = _CGROUPS, ("memory.max", "memory.current", "inactive_file")
            elif "memory" in controllers.split(","):
                top = _CGROUPS / "memory"
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            else:
                continue
            inner = top / path.lstrip("/")
            # Inside a container the path may be that of the host, and its own group is mounted at the top.
            for folder in dict.fromkeys([inner, *inner.parents, top]):
                if folder == top or top in folder.parents:
                    yield from _limit(folder, *names)


def _limit(folder: Path, limit: str, usage: str, cached: str) -> Iterator[Room]:
    with contextlib.suppress(OSError, ValueError):  # absent at the root; "max" means none
        most, used = (int((folder / name).read_text()) for name in (limit, usage))
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # Pages of files that nobody used lately count as used and are dropped when memory is wanted.
        yield Room(max(0, most - used + int(stat.get(cached, 0))), f"the memory limit of {folder}")


@contextlib.contextmanager
def thrifty_heap(wanted: bool = True) -> Iterator[None]:
    """Blocks of more than 64 KB come from the system and go back to it, so that no holes in the heap are left of them.

    A step takes half as long again, but the memory that is alive is all that it takes. Does nothing without glibc.
    """
    if not wanted:
        yield
        return
    _map_blocks_from(64 * 1024)
    try:
        yield
    finally:
        # Where glibc's own rule ends up after the first large blocks; a threshold once set is not its own any more.
        _map_blocks_from(32 * 1024 * 1024)


def _map_blocks_from(size: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(_M_MMAP_THRESHOLD, size)


def _give_back_freed() -> None:
    """Let the heap return what is free in it: memory of an earlier fine-tune of this process would count as used."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
