"""Which base model it is, and that large files are read once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from predictor.lab import base_model_path
from predictor.models import digests
from predictor.models.digests import model_digest, planned_digest, weights_digest


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "_SETTLED_S", -1.0)  # as if the files had been there for long
    return Path(shutil.copytree(tiny_base, tmp_path / "base"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are hashed."""
    hashed: list[str] = []
    plain = digests._hash

    def spied(folder: Path, files: list[Path]) -> str:
        hashed.extend(file.name for file in files)
        return plain(folder, files)

    monkeypatch.setattr(digests, "_hash", spied)
    return hashed


def test_the_digest_of_the_weights_is_the_one_of_the_runs_that_come_with_the_package():
    from predictor.runs import runs_path
    from predictor.schema.archive import read_archive

    assert weights_digest(str(base_model_path())) == read_archive(runs_path()).about["base_model_digest"]
    assert model_digest(str(base_model_path())) != weights_digest(str(base_model_path()))


@pytest.mark.parametrize("file", ["config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"])
def test_the_whole_covers_what_answers_depend_on_and_the_weights_stay_theirs(base: Path, file: str):
    weights, whole = weights_digest(str(base)), model_digest(str(base))
    path = base / file
    path.write_text((path.read_text() if path.is_file() else "") + " ")
    assert model_digest(str(base)) != whole
    assert weights_digest(str(base)) == weights
    assert planned_digest(str(base)) == model_digest(str(base))


def test_a_note_beside_the_model_changes_nothing(base: Path):
    whole = model_digest(str(base))
    (base / "README.md").write_text("a good model")
    (base / "curve.json").write_text("[]")
    assert model_digest(str(base)) == whole


def test_weights_are_read_once(base: Path, read: list[str]):
    first = weights_digest(str(base))
    assert read == ["model.safetensors"]
    assert weights_digest(str(base)) == first
    assert read == ["model.safetensors"]


def test_a_changed_file_of_the_same_size_is_read_again(base: Path, read: list[str]):
    first = weights_digest(str(base))
    file = base / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert weights_digest(str(base)) != first
    assert len(read) == 2


def test_a_copied_time_of_change_does_not_hide_a_change(base: Path):
    import os

    first = weights_digest(str(base))
    file = base / "model.safetensors"
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights_digest(str(base)) != first


def test_files_that_have_just_changed_are_not_trusted_to_stay(
    base: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(digests, "_SETTLED_S", 1000.0)
    weights_digest(str(base))
    weights_digest(str(base))
    assert len(read) == 2


def test_a_damaged_cache_and_one_that_cannot_be_written_cost_time_only(
    base: Path, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = weights_digest(str(base))
    [kept] = (tmp_path / "cache" / "digests").iterdir()
    kept.write_text(json.dumps({"files": None}))
    assert weights_digest(str(base)) == first
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "file"))
    assert weights_digest(str(base)) == first
    assert len(read) == 3
