"""Features that were measured before: the same rows, model and code give the same numbers, so they are kept."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from predictor.cache import cache_folder, keep, kept
from predictor.config import canonical_hash
from predictor.models.device import Device
from predictor.probe import FEATURES
from predictor.tasks.base import Task
from predictor.trial.identity import code_revision

Features = dict[str, float]

_MOST: Final = 1000
"""Entries that a process remembers; one takes some kilobytes."""
_LIBRARIES: Final = ("numpy", "tokenizers", "torch", "transformers", "sentence-transformers")
_remembered: dict[str, Measured] = {}


@dataclass(frozen=True)
class Measured:
    """Features of one tier, the seconds that measuring them took, and whether that was done now."""

    features: Features
    seconds: float
    now: bool = True


def measured(
    tier: str, task: Task, parts: Mapping[str, Any], compute: Callable[[], Features], *, disk: bool
) -> Measured:
    """The features of a tier, computed unless they are known.

    Args:
        parts: everything that determines them beside the tier, the task and the code, as JSON values.
        disk: the computation gives the same bits in every process, so that they may be kept between processes, in
            `$PREDICTOR_CACHE/features`. Otherwise this process alone remembers them.
    """
    key = _key(tier, task, parts)
    if key is not None and (known := _remembered.get(key) or (_read(_file(key)) if disk else None)):
        _remember(key, known)
        return known
    started = time.perf_counter()
    features = compute()
    seconds = time.perf_counter() - started
    if key is not None:
        _remember(key, Measured(dict(features), seconds, now=False))
        if disk:
            content = {"tier": tier, "features": features, "seconds": seconds}
            keep(_file(key), content, "features are not cached")
    return Measured(features, seconds)


def arithmetic(device: Device) -> list[str]:
    """What the last bits of a model's numbers depend on beside the model."""
    import torch

    where = [device.kind, device.dtype_name, device.attention, f"bf16_products={device.bf16_products}"]
    return [*where, str(torch.get_num_threads()), torch.backends.cpu.get_cpu_capability()]


def forget() -> None:
    """Let this process remember nothing; what is on disk stays."""
    _remembered.clear()


def _key(tier: str, task: Task, parts: Mapping[str, Any]) -> str | None:
    """None when code takes part that cannot be told apart from other code of the same name."""
    computed = [entry.compute for _, entry in FEATURES if entry.tier == tier and entry.compute is not None]
    foreign = _foreign_code([type(task), *computed])
    if foreign is None:
        return None
    return canonical_hash(
        {
            "parts": dict(parts),
            "tier": tier,
            "task": task.name,
            "task_settings": repr(sorted(vars(task).items())),
            "code_revision": code_revision(),
            "foreign": foreign,
            "features": [name for name, entry in FEATURES if entry.tier == tier],
            "libraries": libraries(),
        }
    )


def _foreign_code(things: Iterable[Any]) -> list[str] | None:
    """Digests of the files of a plug-in's tasks and features, which the code revision does not cover."""
    digests = set()
    for name in {thing.__module__ for thing in things}:
        if name.startswith("predictor."):
            continue
        file = getattr(sys.modules.get(name), "__file__", None)
        try:
            digests.add(hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] if file else "")
        except OSError:
            return None
    return None if "" in digests else sorted(digests)


@functools.cache
def libraries() -> dict[str, str]:
    """Versions of what computes."""
    found = {"python": sys.version.split()[0]}
    for name in _LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _remember(key: str, entry: Measured) -> None:
    if len(_remembered) >= _MOST:
        _remembered.pop(next(iter(_remembered)))
    _remembered[key] = entry


def _file(key: str) -> Path:
    return cache_folder() / "features" / f"{key}.json"


def _read(path: Path) -> Measured | None:
    """None when there is no file, or a damaged one."""
    stored = kept(path)
    try:
        features = {str(name): float(value) for name, value in stored["features"].items()}
        return Measured(features, float(stored["seconds"]), now=False)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
