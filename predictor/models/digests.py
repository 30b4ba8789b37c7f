"""Which base model this is: of its weights alone, and of everything that its answers depend on.

The digest of the weights is the tag by which runs on the same base are known. The digest of the whole covers
configuration, generation settings, tokenizer and chat template besides, and is part of a fine-tune's identity.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from predictor.cache import cache_folder
from predictor.files import whole_file

_BLOCK: Final = 1 << 20
_WEIGHTS: Final = ("*.safetensors",)
_REST: Final = (
    "config.json",
    "generation_config.json",
    "*.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "additional_chat_templates/*",
    "vocab*",
    "merges.txt",
    "*.model",
)
"""Files of a model beside its weights that transformers reads. Notes, curves and cards are none of them."""
_SETTLED_S = 2.0
"""A file that changed less than so long ago may change once more within one tick of the file system's clock, and keep
its size: its digest is not kept."""


def weights_digest(source: str, commit: str | None = None) -> str:
    """Identity of the weights alone: a hash over the files of a folder in the order of their names.

    Of a hub model its commit, which covers the rest too, or `unknown`.
    """
    folder = Path(source)
    if not folder.is_dir():
        return str(commit or "unknown")[:16]
    return _kept(folder, _WEIGHTS)


def model_digest(source: str, commit: str | None = None) -> str:
    """Identity of everything that the model's answers depend on: weights, configuration, tokenizer, chat template."""
    folder = Path(source)
    if not folder.is_dir():
        return str(commit or "unknown")[:16]
    return hashlib.sha256(f"{_kept(folder, _WEIGHTS)}\n{_kept(folder, _REST)}".encode()).hexdigest()[:16]


def planned_digest(source: str) -> str | None:
    """The :func:`model_digest` that a loaded base model will have, told without loading; needs no torch and no network.

    Returns:
        None for a hub model that is not in the local cache, or a folder that holds no weights.
    """
    from huggingface_hub import try_to_load_from_cache

    folder = Path(source)
    if folder.is_dir():
        return model_digest(source) if any(folder.glob("*.safetensors")) else None
    try:
        cached = try_to_load_from_cache(source, "config.json")
    except ValueError:  # not a hub id
        return None
    # A file of the cache lies in snapshots/<commit>/.
    return Path(cached).parent.name[:16] if isinstance(cached, str) else None


def _kept(folder: Path, patterns: tuple[str, ...]) -> str:
    """The digest of a folder's files, read again only when one of them is another one than last time."""
    files = sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})
    marks = [[file.relative_to(folder).as_posix(), _mark(file)] for file in files]
    home = _cache_file(folder, patterns)
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # not there yet, or damaged
        known = json.loads(home.read_text(encoding="utf-8"))
        if known["files"] == marks:
            return str(known["digest"])
    digest = _hash(folder, files)
    newest = max((max(_mark(file)[1:3]) for file in files), default=0)
    if time.time() - newest / 1e9 > _SETTLED_S:
        _keep(home, {"files": marks, "digest": digest})
    return digest


def _mark(file: Path) -> list[int]:
    """What changes when the content does. The time of the last change of the entry cannot be set by a copying tool."""
    state = file.stat()
    return [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]


def _hash(folder: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(folder).as_posix().encode())
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:16]


def _cache_file(folder: Path, patterns: tuple[str, ...]) -> Path:
    name = hashlib.sha256(f"{folder.resolve()}\n{patterns}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return cache_folder() / "digests" / f"{name}.json"


def _keep(home: Path, content: dict[str, Any]) -> None:
    """Write whole or not at all; what cannot be written is hashed again the next time."""
    with contextlib.suppress(OSError), whole_file(home, encoding="utf-8") as stream:
        json.dump(content, stream)
