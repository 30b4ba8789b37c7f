"""What the fine-tunes of a sweep need of the machines that do them, and what has to be brought there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from predictor.catalog import did_you_mean
from predictor.config import LAB, Expression, parse_name
from predictor.data.sources import local_files
from predictor.errors import ConfigError, PredictorError
from predictor.files import whole_file
from predictor.trial.config import FinetuneConfig

_RULE: Final = (
    "resources: {cpus: 2, gpus: 0.5, memory_gb: 16} of one worker; for Slurm also minutes, partition and "
    "options (any of sbatch's, by name)"
)


@dataclass(frozen=True)
class Resources:
    """What one worker gets, by the entry `resources` of a plan.

    Attributes:
        cpus: cores. gpus: GPUs, or a share of one that others use too. memory_gb: main memory (10⁹ bytes); 0 asks for
            none in particular.
        minutes: that a Slurm job may take. partition: of Slurm. options: further ones of sbatch.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory_gb: float = 0.0
    minutes: int = 24 * 60
    partition: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def read_resources(given: Any, where: str) -> Resources:
    """The entry of a plan.

    Raises:
        ConfigError: no mapping, an unknown name, or a number that is none or too small.
    """
    known = {each.name: each for each in fields(Resources)}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{given!r} is no mapping", where=where, rule=_RULE)
    for name, value in given.items():
        if name not in known:
            raise ConfigError(
                f"unknown resource '{name}'", where=where, rule=_RULE, fix=did_you_mean(str(name), sorted(known))
            )
        if name in ("cpus", "gpus", "memory_gb", "minutes"):
            least = 0 if name in ("gpus", "memory_gb") else 1
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value < 1e6:
                raise ConfigError(f"{name}: {value!r}", where=where, rule=f"a number from {least}")
        elif name == "options" and not isinstance(value, Mapping):
            raise ConfigError(f"options: {value!r}", where=where, rule="a mapping of sbatch's options to values")
        elif name == "partition" and not isinstance(value, str):
            raise ConfigError(f"partition: {value!r}", where=where, rule="the name of a partition")
    gpus = given.get("gpus", 0)
    if gpus > 1 and gpus != int(gpus):
        raise ConfigError(f"gpus: {gpus}", where=where, rule="a share below 1, or a whole number")
    return Resources(**given)


@dataclass(frozen=True)
class Freight:
    """Files that a plan names, as paths from the working folder and from the root.

    Attributes:
        carried: relative path → SHA-256 of files that are brought to machines that lack them.
        expected: absolute paths that every machine must have.
    """

    carried: Mapping[str, str] = field(default_factory=dict)
    expected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Placement:
    """What an executor on other machines is told beside the work.

    Attributes:
        address: of the engine, in its own words.
        folder: that all machines see, where the engine needs one.
        local_store: only this machine reaches the tracking store.
    """

    address: str = ""
    folder: str = ""
    resources: Resources = field(default_factory=Resources)
    freight: Freight = field(default_factory=Freight)
    local_store: bool = False


HERE: Final = Placement()
"""This machine, and nothing in particular of it."""


def freight_of(configs: Iterable[FinetuneConfig]) -> Freight:
    """The local files behind the datasets of fine-tunes; the lab's are made where they are used, hub ids fetched."""
    names: dict[str, None] = {}
    for config in configs:
        values = config.values()
        for name in (values["dataset"], values["eval_dataset"], values.get("replay") or "", values["base_model"]):
            names[str(name)] = None
    carried: dict[str, str] = {}
    expected: dict[str, None] = {}
    for name in names:
        if not name:
            continue
        try:
            parsed = parse_name(name)
        except ConfigError:  # `split:SHARE`, which names no file, or what the fine-tune itself will refuse
            continue
        for leaf in parsed.leaves if isinstance(parsed, Expression) else (parsed,):
            for path in _files(leaf):
                if path.is_absolute() or ".." in path.parts:
                    expected[str(path)] = None
                elif str(path) not in carried:
                    carried[str(path)] = digest_of(path)
    return Freight(carried, tuple(expected))


def _files(leaf: str) -> list[Path]:
    if leaf == LAB or leaf.startswith(f"{LAB}:") or not os.path.lexists(Path(leaf).expanduser()):
        return []
    path = Path(leaf).expanduser()
    if (path / "config.json").is_file():  # a base model: too large to be carried, so that it must be there
        return [path.absolute()]
    return [file.path for file in local_files(leaf) or []]


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def settle(freight: Freight, fetch: Mapping[str, bytes] | None, shelf: Path) -> None:
    """Make the files of a plan be there, as the names of its datasets have them, in this process.

    Where the working folder has the files, it stays; otherwise they are written to a folder of their own, which becomes
    the working folder.

    Args:
        fetch: content by relative path; None where nothing can be brought.
        shelf: folder under which carried files are kept, for other workers of this machine too.

    Raises:
        PredictorError: a file is not here and cannot be brought.
    """
    for path in freight.expected:
        if not Path(path).expanduser().exists():
            raise PredictorError(
                "this machine lacks a file of the plan",
                where=path,
                rule="files and models named from the root are at the same place on every machine",
                fix="put it there, or name data from the working folder: then it is brought",
            )
    if all(_is_here(Path(name), digest) for name, digest in freight.carried.items()):
        return
    if fetch is None:
        lacking = next(name for name, digest in freight.carried.items() if not _is_here(Path(name), digest))
        raise PredictorError(
            "this machine lacks a file of the plan, or has another one under its name",
            where=str(Path(lacking).absolute()),
            rule="the folder that the sweep was started in is the same on every machine",
            fix="start the sweep in a folder that all machines see",
        )
    told = "\n".join(f"{name} {digest}" for name, digest in sorted(freight.carried.items()))
    root = shelf / hashlib.sha256(told.encode()).hexdigest()[:16]
    for name, digest in freight.carried.items():
        file = root / name
        if not _is_here(file, digest):
            # Several workers of one machine may do this at once: whole files only, whoever is last.
            with whole_file(file, "wb") as stream:
                stream.write(fetch[name])
    os.chdir(root)


def _is_here(path: Path, digest: str) -> bool:
    return path.is_file() and digest_of(path) == digest
