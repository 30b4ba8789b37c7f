"""The best weights so far and the file that they lie in when they are many: no second set in memory, no bit lost."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from predictor.errors import TrainingError
from predictor.finetune import best_weights
from predictor.finetune.best_weights import BestWeights
from predictor.finetune.snapshot import SavedSnapshot, Snapshot, put_back, trainable
from predictor.finetune.tensor_file import open_tensors, write_tensors
from tests.memory import growth

MANY = 80_000_000
"""Bytes of the weights in the tests of memory."""


def weights(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"a": torch.randn(40, 3, generator=generator), "b.c": torch.randn(7, generator=generator)}


def model_of(tensors: dict[str, torch.Tensor]) -> torch.nn.Module:
    model = torch.nn.Module()
    for name, tensor in tensors.items():
        model.register_parameter(name.replace(".", "_"), torch.nn.Parameter(tensor.clone()))
    return model


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to make a file longer, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(params=["in memory", "in a file"])
def best(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BestWeights:
    if request.param == "in a file":
        monkeypatch.setattr(best_weights, "HELD_BYTES", 0)
    return BestWeights(tmp_path / "scratch")


def test_the_latest_that_were_kept_come_back(best: BestWeights):
    model = model_of(weights(0))
    best.put_back(model)
    assert torch.equal(model.a, weights(0)["a"]), "nothing is kept yet"
    assert not best.tensors()
    best.keep(trainable(model_of(weights(1))))
    passing = model_of(weights(2))
    best.keep(trainable(passing))
    put_back(passing, trainable(model_of(weights(3))))
    best.put_back(model)
    assert torch.equal(model.a, weights(2)["a"])
    assert torch.equal(model.b_c, weights(2)["b.c"])
    assert {name: t.tolist() for name, t in best.tensors().items()} == {
        name.replace(".", "_"): t.tolist() for name, t in weights(2).items()
    }


def test_few_weights_need_no_file(tmp_path: Path):
    best = BestWeights(tmp_path / "scratch")
    best.keep(weights(1))
    assert not (tmp_path / "scratch").exists()


def test_they_pass_through_a_checkpoint(best: BestWeights, tmp_path: Path):
    best.keep(weights(1))
    snapshot = Snapshot()
    snapshot.put("stopping", best.tensors())
    (tmp_path / "step").mkdir()
    snapshot.write(tmp_path / "step")
    best.keep(weights(2))
    with SavedSnapshot(tmp_path / "step").part("stopping", mapped=True) as saved:
        best.keep(saved)
    assert {name: t.tolist() for name, t in best.tensors().items()} == {n: t.tolist() for n, t in weights(1).items()}


def test_a_full_disk_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(best_weights, "HELD_BYTES", 0)
    best = BestWeights(tmp_path / "scratch")
    message = r"best weights so far \(0\.4 MB\) cannot be written: File too large[\s\S]*early_stopping_patience=0"
    with files_of_at_most(1000), pytest.raises(TrainingError, match=message):
        best.keep({"a": torch.zeros(100_000)})


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"cut")])
def test_a_file_that_is_gone_or_damaged_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage):
    monkeypatch.setattr(best_weights, "HELD_BYTES", 0)
    best = BestWeights(tmp_path)
    best.keep(weights(1))
    damage(tmp_path / "best.safetensors")
    with pytest.raises(TrainingError, match=r"best weights so far cannot be read again[\s\S]*that nothing cleans up"):
        best.put_back(model_of(weights(2)))
    with pytest.raises(TrainingError, match=r"best weights so far cannot be read again"):
        best.tensors()


def test_the_system_s_reason_survives_the_library(tmp_path: Path):
    with files_of_at_most(1000), pytest.raises(OSError) as caught:
        write_tensors(tmp_path / "file", {"a": torch.zeros(100_000)})
    assert (caught.value.errno, caught.value.strerror) == (errno.EFBIG, "File too large")


def test_a_part_of_a_file_by_name(tmp_path: Path):
    write_tensors(tmp_path / "file", {"a/x": torch.ones(1), "a/y/z": torch.zeros(2), "ab/x": torch.zeros(3)})
    for mapped in (False, True):
        with open_tensors(tmp_path / "file", "a/", mapped=mapped) as part:
            assert {name: t.tolist() for name, t in part.items()} == {"x": [1.0], "y/z": [0.0, 0.0]}
            with pytest.raises(KeyError):
                part["b/x"]


def test_many_weights_go_to_disk_and_come_back_without_a_second_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(best_weights, "HELD_BYTES", MANY // 2)
    tensors = {str(i): torch.ones(MANY // 80) for i in range(20)}
    model = model_of(tensors)
    best = BestWeights(tmp_path / "scratch")

    def checkpoint() -> None:
        snapshot = Snapshot()
        snapshot.put("adapter", trainable(model))
        snapshot.put("stopping", best.tensors())
        snapshot.write(tmp_path)

    def read() -> None:
        with SavedSnapshot(tmp_path).part("adapter") as saved:
            put_back(model, saved)

    assert growth(lambda: best.keep(tensors)) < MANY // 4
    assert growth(checkpoint) < MANY * 1.25, "the mapped file of the best weights counts, but the system can drop it"
    assert growth(read) < MANY // 4
    assert growth(lambda: best.put_back(model)) < MANY // 4
