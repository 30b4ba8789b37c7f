"""A fine-tune that was cut off and made again ends in the very bits of an undisturbed one."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import safetensors.torch
import torch

from predictor.errors import ConfigError, TrainingError
from predictor.finetune import best_weights, snapshot
from predictor.finetune.checkpoints import Checkpoints
from predictor.finetune.plan import plan_training
from predictor.finetune.sealing import MANIFEST
from predictor.finetune.settings import Training
from predictor.finetune.snapshot import STATE, TENSORS, claims
from predictor.models.render import RenderedRow
from tests.finetune.scene import CPU, HP, PROBE_STEPS, STEPS, Cut, Outcome, settings, step_folders, tune

FILES = [TENSORS, STATE, MANIFEST]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def undisturbed(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Path]:
    """The outcome without checkpoints, and a folder with the checkpoint of every step of the same fine-tune."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("every-step")
    plain = tune(tiny_base)
    assert tune(tiny_base, settings(folder, keep=100)) == plain, "writing checkpoints changes nothing"
    torch.set_num_threads(threads)
    assert plain.steps == STEPS
    assert plain.curves.count("eval/loss") == 3
    return plain, folder


@pytest.fixture
def with_steps(undisturbed: tuple[Outcome, Path], tmp_path: Path) -> Callable[..., Checkpoints]:
    """Settings of a folder that holds the checkpoints of the given steps only."""

    def make(*steps: int, notes: list[str] | None = None) -> Checkpoints:
        for step in steps:
            name = f"step-{step:08d}"
            shutil.copytree(undisturbed[1] / name, tmp_path / "run" / name)
        return settings(tmp_path / "run", notes)

    return make


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_going_on_from_any_step(undisturbed: tuple[Outcome, Path], with_steps: Callable, tiny_base: Path, step: int):
    notes: list[str] = []
    assert tune(tiny_base, with_steps(step, notes=notes)) == undisturbed[0]
    assert notes == [f"a checkpoint is there: the fine-tune goes on from step {step}"]


def test_cut_off_twice(undisturbed: tuple[Outcome, Path], tiny_base: Path, tmp_path: Path):
    every_two = settings(tmp_path, every_steps=2)
    for steps_taken in (PROBE_STEPS, 5):
        with pytest.raises(Cut):
            tune(tiny_base, every_two, cut=lambda step, values, last=steps_taken: step == last)
    assert step_folders(tmp_path) == ["step-00000002", "step-00000004"]
    assert tune(tiny_base, every_two) == undisturbed[0]
    assert step_folders(tmp_path) == ["step-00000004", "step-00000006"]
    every_two.discard()
    assert not tmp_path.exists()


def test_no_steps_between_checkpoints_means_none(tiny_base: Path, tmp_path: Path):
    never = settings(tmp_path, every_steps=0)
    tune(tiny_base, never, stop_after=1)
    assert step_folders(never.folder) == []


def delete(file: Path) -> None:
    file.unlink()


def truncate(file: Path) -> None:
    os.truncate(file, random.randrange(file.stat().st_size))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    file.write_bytes(content)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [delete, truncate, flip])
def test_a_damaged_file_costs_steps_but_no_bit(
    undisturbed: tuple[Outcome, Path], with_steps: Callable, tiny_base: Path, file: str, damage: Callable[[Path], None]
):
    notes: list[str] = []
    kept = with_steps(4, 5, notes=notes)
    assert sorted(f.name for f in (kept.folder / "step-00000005").iterdir()) == sorted(FILES)
    damage(kept.folder / "step-00000005" / file)
    assert tune(tiny_base, kept) == undisturbed[0]
    assert notes[0].startswith(f"checkpoint step-00000005 is refused: {file}")
    assert "goes on from step 4" in notes[0]


def test_with_all_damaged_it_starts_from_the_beginning(
    undisturbed: tuple[Outcome, Path], with_steps: Callable, tiny_base: Path
):
    notes: list[str] = []
    kept = with_steps(2, 5, notes=notes)
    for name, file in (("step-00000005", TENSORS), ("step-00000002", STATE)):
        flip(kept.folder / name / file)
    assert tune(tiny_base, kept) == undisturbed[0]
    assert [note.split(":")[0] for note in notes] == [
        "checkpoint step-00000005 is refused",
        "checkpoint step-00000002 is refused",
    ]
    assert all("starts from step 0" in note for note in notes)


@pytest.mark.parametrize(
    ("identity", "seed", "claim"), [("other", 1, "its identity is same, not other"), ("same", 2, "its inputs is")]
)
def test_another_fine_tune_does_not_go_on_from_it(
    with_steps: Callable, tiny_base: Path, identity: str, seed: int, claim: str
):
    notes: list[str] = []
    kept = dataclasses.replace(with_steps(4, notes=notes), identity=identity)
    first = tune(tiny_base, kept, stop_after=1, seed=seed)
    assert claim in notes[0]
    assert first == tune(tiny_base, stop_after=1, seed=seed)


def test_what_makes_it_another_fine_tune(tiny_base: Path):
    from predictor.models.base_model import load_base_model

    model = load_base_model(str(tiny_base), CPU).model
    rows = [RenderedRow("a", [1, 2], [3]), RenderedRow("b", [4], [5, 6])]
    same = claims("id", model, HP, 1, rows, [], 3)
    assert same == claims("id", model, HP, 1, [dataclasses.replace(rows[0], id="renamed"), rows[1]], [], 3)
    moved = [RenderedRow("a", [1], [2, 3]), rows[1]]
    for other in (
        claims("id", model, HP.replace(lora_r=4), 1, rows, [], 3),
        claims("id", model, HP, 2, rows, [], 3),
        claims("id", model, HP, 1, moved, [], 3),
        claims("id", model, HP, 1, rows[::-1], [], 3),
        claims("id", model, HP, 1, rows, rows[:1], 3),
        claims("id", model, HP, 1, rows, [], 0),
    ):
        assert {name for name in same if same[name] != other[name]} == {"inputs"}


def test_a_full_disk_ends_the_training_aloud(
    undisturbed: tuple[Outcome, Path], tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write = snapshot.write_tensors

    def full(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
        if path.parent.name == "writing-00000004":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, tensors)

    with monkeypatch.context() as patched:
        patched.setattr(snapshot, "write_tensors", full)
        with pytest.raises(TrainingError, match=r"step 4 [\s\S]*No space left on device[\s\S]*goes on from step 2"):
            tune(tiny_base, settings(tmp_path, every_steps=2))
    assert step_folders(tmp_path) == ["step-00000002"]
    assert tune(tiny_base, settings(tmp_path, every_steps=2)) == undisturbed[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="autograd cannot be forked once it has met a GPU")
def test_killed_at_any_moment(undisturbed: tuple[Outcome, Path], tiny_base: Path, tmp_path: Path):
    child = os.fork()  # the libraries are imported already
    if child == 0:
        try:
            tune(tiny_base, settings(tmp_path))
        finally:
            os._exit(0)
    deadline = time.monotonic() + 30
    while not step_folders(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(random.uniform(0.0, 0.4))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    there = step_folders(tmp_path)
    notes: list[str] = []
    assert tune(tiny_base, settings(tmp_path, notes)) == undisturbed[0]
    assert there
    assert notes == [f"a checkpoint is there: the fine-tune goes on from step {int(there[-1][5:])}"]


def test_nothing_in_a_checkpoint_is_a_pickle(undisturbed: tuple[Outcome, Path]):
    for file in (undisturbed[1] / "step-00000004").iterdir():
        assert file.suffix in (".json", ".safetensors")
    parts = {name.split("/")[0] for name in safetensors.torch.load_file(undisturbed[1] / "step-00000002" / TENSORS)}
    assert parts == {"adapter", "optimizer", "random", "epoch_start", "observer"}


@pytest.fixture
def many_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """All weights are many: nothing of their number is held in memory."""
    monkeypatch.setattr("predictor.finetune.best_weights.HELD_BYTES", 0)
    monkeypatch.setattr("predictor.probe.places.SEEN_WHOLE", 0)
    monkeypatch.setattr("predictor.probe.places.SAMPLE", 5000)


@pytest.mark.usefixtures("many_weights")
def test_all_weights_of_a_model(tiny_base: Path, tmp_path: Path):
    hp = HP.replace(method="full", learning_rate=1e-3, early_stopping_patience=2)
    plain = tune(tiny_base, hp=hp)
    assert tune(tiny_base, settings(tmp_path / "all", keep=100), hp=hp) == plain
    assert len(plain.weights) > 20
    for step in (PROBE_STEPS - 1, PROBE_STEPS + 1, STEPS):
        name = f"step-{step:08d}"
        shutil.copytree(tmp_path / "all" / name, tmp_path / f"run-{step}" / name)
        assert tune(tiny_base, settings(tmp_path / f"run-{step}"), hp=hp) == plain
        assert {entry.name for entry in (tmp_path / f"run-{step}").iterdir()} <= {
            "lock",
            *step_folders(tmp_path / "all"),
        }


class TestEarlyStopping:
    HP = HP.replace(learning_rate=1.0, epochs=3.0, early_stopping_patience=1)
    """So high a learning rate that eval/loss rises after its first points."""

    def losses(self, outcome: Outcome) -> dict[int, float]:
        return {step: values["eval/loss"] for step, values in eval(outcome.curves) if "eval/loss" in values}

    @pytest.mark.parametrize("held", [best_weights.HELD_BYTES, 0])
    def test_it_ends_and_keeps_the_best_weights(
        self, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int
    ):
        monkeypatch.setattr(best_weights, "HELD_BYTES", held)
        stopped = tune(tiny_base, settings(tmp_path, keep=100), hp=self.HP)
        losses = self.losses(stopped)
        *before, last = losses
        best = min(losses, key=lambda step: losses[step])
        assert stopped.steps == last < plan_training(self.HP.training, 10, CPU, dev_rows=2).max_steps
        assert best == before[-1]
        saved = safetensors.torch.load_file(tmp_path / f"step-{best:08d}" / TENSORS)
        for name, weights in stopped.weights.items():
            assert saved[f"adapter/{name}"].numpy().tobytes() == weights
        for step in (before[-1], last):
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            shutil.copytree(tmp_path / f"step-{step:08d}", tmp_path / "run" / f"step-{step:08d}")
            assert tune(tiny_base, settings(tmp_path / "run"), hp=self.HP) == stopped
        assert tune(tiny_base, hp=self.HP) == stopped, "without checkpoints"

    def test_a_full_disk_for_the_best_weights(self, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def full(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(best_weights, "HELD_BYTES", 0)
        monkeypatch.setattr(best_weights, "write_tensors", full)
        with pytest.raises(TrainingError, match=r"cannot be written: No space left on device\n  where: .*scratch"):
            tune(tiny_base, settings(tmp_path), hp=self.HP)

    def test_without_it_the_last_weights_stay(self, tiny_base: Path):
        patient = self.HP.replace(early_stopping_patience=0)
        assert tune(tiny_base, hp=patient).steps == plan_training(patient.training, 10, CPU, dev_rows=2).max_steps

    def test_it_needs_development_rows(self):
        with pytest.raises(ConfigError, match=r"early_stopping_patience=2[\s\S]*dev_limit above 0"):
            plan_training(Training(early_stopping_patience=2), 64, CPU)

    def test_the_steps_that_are_taken_in_any_case(self):
        assert plan_training(Training(max_steps=40, early_stopping_patience=1), 64, CPU, dev_rows=3).earliest_stop == 20
        assert plan_training(Training(max_steps=40, early_stopping_patience=9), 64, CPU, dev_rows=3).earliest_stop == 40
        assert plan_training(Training(max_steps=40), 64, CPU).earliest_stop == 40
