"""What a source is made of: one file, the files of a folder by split, or a dataset of the hub."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from predictor.data.containers.columnar import feature_class_names
from predictor.errors import DataError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLIT_NAMES: Mapping[str, str] = {
    "train": TRAIN, "training": TRAIN,
    "dev": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "val": VALIDATION, "eval": VALIDATION,
    "test": TEST,
}  # fmt: skip
"""File-name stem → split."""
DATA_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow")
MANIFEST = "manifest.json"
_OWN_OUTPUT = ("rejected.jsonl", "report.json", MANIFEST, "dataset_info.json", "dataset_dict.json", "state.json")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


@dataclass(frozen=True)
class DataFile:
    """One local file of a source. `name` is how messages call it; `class_names` as in `open_rows`."""

    path: Path
    name: str
    split: str = TRAIN
    class_names: Mapping[str, list[str]] = field(default_factory=dict)


def local_files(source: str | Path) -> list[DataFile] | None:
    """The files of a local source by split, in a fixed order; None when the source can only be a hub id.

    Raises:
        DataError: the path does not exist (with the nearest names), is a link to itself, or is a folder without data.
    """
    path = Path(source).expanduser()
    if not os.path.lexists(path):
        if _may_be_hub_id(str(source)):
            return None
        raise _absent(path)
    try:
        is_folder = path.is_dir()
        path.resolve(strict=True)
    except (OSError, RuntimeError):
        is_folder = False  # check_file states the reason when the file is opened
    if not is_folder:
        return [DataFile(path, str(source))]
    files = _folder(path)
    if not files:
        held = sorted(entry.name for entry in path.iterdir())[:8]
        raise DataError(
            f"the folder holds no data files; it holds {', '.join(held) or 'nothing'}",
            where=str(path),
            rule=f"files ending in {', '.join(DATA_SUFFIXES)} (or these with .gz), in it or in its data folder",
            fix="name the file itself",
        )
    return files


def _may_be_hub_id(source: str) -> bool:
    suffix = Path(source.removesuffix(".gz")).suffix.lower()
    return bool(_HUB_ID.fullmatch(source)) and suffix not in DATA_SUFFIXES and not source.endswith(".gz")


def _absent(path: Path) -> DataError:
    parent = path.parent
    if parent.is_dir():
        names = [entry.name for entry in parent.iterdir()]
        near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
        fix = f"did you mean {' or '.join(repr(str(parent / name)) for name in near)}?" if near else None
        fix = fix or f"the folder {parent} holds: {', '.join(sorted(names)[:8]) or 'nothing'}"
    else:
        fix = f"the folder {parent} does not exist either"
    return DataError("the file does not exist", where=str(path), rule="a file, a folder or a hub id", fix=fix)


def _folder(path: Path) -> list[DataFile]:
    if (path / MANIFEST).is_file():
        return _manifest(path)
    if (path / "dataset_dict.json").is_file():
        splits = _read_json(path / "dataset_dict.json").get("splits", [])
        return [file for split in splits for file in _saved(path, str(split), SPLIT_NAMES.get(str(split), TRAIN))]
    if (path / "state.json").is_file():
        return _saved(path, "", TRAIN)
    for folder in (path / "data", path):
        if folder.is_dir():
            found = [entry for entry in sorted(folder.iterdir()) if _is_data(entry)]
            if found:
                return _by_split(found, path)
    return _split_folders(path)


def _split_folders(root: Path) -> list[DataFile]:
    """The files of `train/`, `eval/`, `test/`, each of which holds the files of its split."""
    folders = [(entry, SPLIT_NAMES.get(entry.name.lower())) for entry in sorted(root.iterdir()) if entry.is_dir()]
    return [
        DataFile(file, str(file.relative_to(root)), split)
        for folder, split in folders
        if split
        for file in sorted(folder.iterdir())
        if _is_data(file)
    ]


def part_of(path: Path, several: bool) -> str:
    """What a file of a dataset in several files holds, by its name: `coherence` of `train/coherence.json`.

    Empty where the name says nothing of the kind: of a single file outside a folder of a split, or a shard of one.
    """
    stem = path.name.split(".")[0]
    in_parts = several or path.parent.name.lower() in SPLIT_NAMES
    return stem if in_parts and _split_of(stem) is None else ""


def _is_data(entry: Path) -> bool:
    suffixes = [suffix.lower() for suffix in entry.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    named = bool(suffixes) and suffixes[-1] in DATA_SUFFIXES
    return named and entry.name not in _OWN_OUTPUT and not entry.name.startswith((".", "_")) and entry.is_file()


def _by_split(found: list[Path], root: Path) -> list[DataFile]:
    """Files with the split that their names say; files that say none are training data only if none says train."""
    named = [(path, _split_of(path.name)) for path in found]
    if any(split == TRAIN for _, split in named):
        named = [(path, split) for path, split in named if split]
    order = [TRAIN, VALIDATION, TEST]
    files = [DataFile(path, str(path.relative_to(root)), split or TRAIN) for path, split in named]
    return sorted(files, key=lambda file: (order.index(file.split), file.name))


def _split_of(name: str) -> str | None:
    """The split in `train.json`, `train-00000-of-00002.parquet` or `squad_dev.jsonl`."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), None)


def _saved(root: Path, sub: str, split: str) -> list[DataFile]:
    """The Arrow files of a dataset saved by `datasets`, as its state.json lists them."""
    folder = _inside(root, sub, root / "dataset_dict.json") if sub else root
    state = _read_json(folder / "state.json")
    info = _read_json(folder / "dataset_info.json") if (folder / "dataset_info.json").is_file() else {}
    names = feature_class_names(info.get("features"))
    entries = state.get("_data_files")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "filename" in entry for entry in entries):
        raise DataError("the manifest lists no data files", where=str(folder / "state.json"), rule="'_data_files'")
    listed = [str(entry["filename"]) for entry in entries]
    return [
        DataFile(_inside(folder, name, folder / "state.json"), f"{sub}/{name}".strip("/"), split, names)
        for name in listed
    ]


def _manifest(root: Path) -> list[DataFile]:
    """Files by split as `manifest.json` lists them: `{"train": ["a.jsonl"], "test": ["b.jsonl"]}`."""
    where = root / MANIFEST
    listed = _read_json(where)
    files = []
    for key, paths in listed.items():
        split = SPLIT_NAMES.get(str(key).lower())
        if split is None or not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise DataError(
                f"the manifest entry '{key}' is not a list of files of a split",
                where=str(where),
                rule=f"keys {', '.join(sorted(SPLIT_NAMES))}, each with a list of paths relative to the folder",
            )
        files += [DataFile(_inside(root, path, where), path, split) for path in paths]
    return files


def _inside(root: Path, relative: str, manifest: Path) -> Path:
    """The path that a manifest names; raises DataError when it leads out of the manifest's folder."""
    try:
        target = (root / relative).resolve()
        escapes = not target.is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        escapes = True
    if escapes:
        raise DataError(
            f"the manifest names a path outside its folder: '{relative}'",
            where=str(manifest),
            rule="paths inside the folder, also after symbolic links",
            fix="copy the file into the folder",
        )
    return target


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"the file cannot be read: {error}", where=str(path), rule="a JSON object") from None
    if not isinstance(value, dict):
        raise DataError("the file does not hold an object", where=str(path), rule="a JSON object")
    return value
