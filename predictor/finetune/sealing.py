"""A folder of files sealed by a manifest of their sizes and digests, so that it is read whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from predictor.files import sync

MANIFEST = "manifest.json"
SCHEMA = 1
"""Changes when the files of a checkpoint change their meaning; a checkpoint of another schema is refused."""


class Refused(Exception):
    """Why a checkpoint is not gone on from, and the rule that it breaks."""

    def __init__(self, what: str, rule: str) -> None:
        super().__init__(what)
        self.what = what
        self.rule = rule


def seal(folder: Path, step: int, claims: Mapping[str, str]) -> None:
    """Write the manifest of the files in a folder, and make all of them last through a loss of power.

    Raises:
        OSError: they cannot be read, or the manifest cannot be written.
    """
    entries = {}
    for file in sorted(folder.iterdir()):
        sync(file)
        entries[file.name] = {"bytes": file.stat().st_size, "sha256": _digest(file)}
    body = {"schema": SCHEMA, "step": step, "claims": dict(claims), "files": entries}
    (folder / MANIFEST).write_bytes(_sealed_text(body))
    sync(folder / MANIFEST)
    sync(folder)


def check(folder: Path, step: int, claims: Mapping[str, str]) -> None:
    """Compare every byte of a folder with its manifest.

    Args:
        claims: what must be equal, text by text, in the manifest.

    Raises:
        Refused: anything is missing, changed, foreign or unreadable.
    """
    try:
        _check(folder, step, claims)
    except OSError as error:
        raise Refused(f"it cannot be read: {error.strerror or error}", "every file can be read") from error


def _check(folder: Path, step: int, claims: Mapping[str, str]) -> None:
    if not folder.is_dir():
        raise Refused("it is not a folder", "a checkpoint is a folder")
    present = {entry.name: entry for entry in folder.iterdir()}
    for name, entry in present.items():
        if entry.is_symlink() or not entry.is_file():
            raise Refused(f"{name} is not a plain file", "a checkpoint holds plain files only")
    if MANIFEST not in present:
        raise Refused(f"{MANIFEST} is missing", "a checkpoint is sealed by its manifest")
    manifest = open_manifest(present.pop(MANIFEST).read_bytes())
    if manifest["schema"] != SCHEMA:
        raise Refused(
            f"it was written under checkpoint schema {manifest['schema']}", f"this version reads schema {SCHEMA}"
        )
    for claim in sorted({*claims, *manifest["claims"]}):
        theirs, ours = manifest["claims"].get(claim), claims.get(claim)
        if theirs != ours:
            raise Refused(
                f"its {claim} is {theirs}, not {ours}", "a checkpoint is gone on from by the very same fine-tune"
            )
    if manifest["step"] != step:
        raise Refused(f"its manifest says step {manifest['step']}", "folder and manifest name the same step")
    wanted = manifest["files"]
    for name in sorted({*wanted, *present}):
        if name not in present:
            raise Refused(f"{name} is missing", "every file of the manifest is there")
        if name not in wanted:
            raise Refused(f"{name} is not in the manifest", "no file but those of the manifest is there")
    for name in wanted:
        _check_bytes(present[name], wanted[name])


def open_manifest(content: bytes) -> dict[str, Any]:
    """The manifest's values.

    Raises:
        Refused: it is not, byte for byte, what was written.
    """
    try:
        body = json.loads(content)
        body.pop("digest")
        whole = _sealed_text(body) == content
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise Refused(f"{MANIFEST} is damaged", "the manifest has the digest that it names")
    return dict(body)


def _sealed_text(body: Mapping[str, Any]) -> bytes:
    """JSON in one form only, with a digest of itself: a reader that writes it again gets the same bytes or refuses."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return (json.dumps({**body, "digest": digest}, sort_keys=True, indent=1) + "\n").encode()


def _check_bytes(file: Path, entry: Mapping[str, Any]) -> None:
    size = file.stat().st_size
    if size != entry["bytes"]:
        raise Refused(f"{file.name} has {size} bytes, not {entry['bytes']}", "every file has the size of the manifest")
    if _digest(file) != entry["sha256"]:
        raise Refused(f"{file.name} has other bytes", "every file has the SHA-256 digest of the manifest")


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
