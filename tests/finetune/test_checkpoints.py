"""Checkpoints on disk: whole or not at all, whatever happens to the writer and to the files."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from predictor.errors import TrainingError
from predictor.finetune import sealing
from predictor.finetune.checkpoints import CheckpointFolder, Checkpoints, Stored
from predictor.finetune.sealing import MANIFEST, Refused, check, open_manifest

CLAIMS = {"identity": "same", "made_with": "torch 1"}
FILES = {"tensors": bytes(range(40)), "state.json": b'{"points": []}'}


@dataclass
class Files:
    """A checkpoint's content from memory. The disk is full after `room` files, the next of which is half written."""

    files: dict[str, bytes]
    room: int = 99

    @property
    def size(self) -> int:
        return sum(len(content) for content in self.files.values())

    def write(self, folder: Path) -> None:
        for number, (name, content) in enumerate(self.files.items()):
            if number == self.room:
                (folder / name).write_bytes(content[: len(content) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            (folder / name).write_bytes(content)


def contents(stored: Stored | None) -> dict[str, bytes]:
    """The files of a checkpoint but for its manifest."""
    assert stored is not None
    return {file.name: file.read_bytes() for file in stored.folder.iterdir() if file.name != MANIFEST}


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path: Path, notes: list[str]) -> CheckpointFolder:
    """A folder with whole checkpoints of steps 10 and 20."""
    folder = CheckpointFolder(Checkpoints(tmp_path / "run", "same", every_steps=10, note=notes.append), CLAIMS)
    with folder.held():
        for step in (10, 20):
            folder.write(step, Files(files_of(step)))
    return folder


def files_of(step: int) -> dict[str, bytes]:
    return {name: content + str(step).encode() for name, content in FILES.items()}


def names(store: CheckpointFolder) -> list[str]:
    return sorted(entry.name for entry in store.settings.folder.iterdir() if entry.name != "lock")


def test_what_was_written_is_read_again(store: CheckpointFolder, notes: list[str]):
    found = store.newest()
    assert found is not None
    assert (found.step, contents(found)) == (20, files_of(20))
    assert notes == ["a checkpoint is there: the fine-tune goes on from step 20"]


def test_two_are_kept_and_all_are_discarded(store: CheckpointFolder):
    store.write(30, Files(files_of(30)))
    assert names(store) == ["step-00000020", "step-00000030"]
    store.settings.discard()
    assert not store.settings.folder.exists()


def test_an_empty_folder_means_the_beginning(tmp_path: Path, notes: list[str]):
    store = CheckpointFolder(Checkpoints(tmp_path / "a" / "b", "same", note=notes.append), CLAIMS)
    with store.held():
        assert store.newest() is None
    assert notes == []


def delete(file: Path) -> None:
    file.unlink()


def truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def lengthen(file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"\n")


def replace_by_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def replace_by_a_link(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


DAMAGE: list[Callable[[Path], None]] = [delete, truncate, empty, lengthen, replace_by_a_folder, replace_by_a_link]


@pytest.mark.parametrize("file", [*FILES, MANIFEST])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_older_one(
    store: CheckpointFolder, notes: list[str], file: str, damage: Callable[[Path], None]
):
    newest = store.settings.folder / "step-00000020"
    damage(newest / file)
    found = store.newest()
    assert found is not None
    assert (found.step, contents(found)) == (10, files_of(10))
    [note] = notes
    assert note.startswith("checkpoint step-00000020 is refused: " + file)
    assert f"where: {newest} | rule: " in note
    assert "goes on from step 10" in note
    assert names(store) == sorted(
        ["refused-step-00000020", "step-00000010"] + (["elsewhere"] if damage is replace_by_a_link else [])
    )
    store.newest()
    assert len(notes) == 2, "it is not met again"
    assert "refused" not in notes[1]


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def test_no_flipped_bit_goes_unseen(store: CheckpointFolder):
    newest = store.settings.folder / "step-00000020"
    for file in FILES:
        content = (newest / file).read_bytes()
        for bit in range(len(content) * 8):
            (newest / file).write_bytes(flipped(content, bit))
            with pytest.raises(Refused, match=f"{file} has other bytes"):
                check(newest, 20, CLAIMS)
        (newest / file).write_bytes(content)
    manifest = (newest / MANIFEST).read_bytes()
    for bit in range(len(manifest) * 8):
        with pytest.raises(Refused, match=r"manifest\.json is damaged"):
            open_manifest(flipped(manifest, bit))
    check(newest, 20, CLAIMS)


def test_files_that_do_not_belong_to_it(store: CheckpointFolder, notes: list[str]):
    (store.settings.folder / "step-00000020" / "training_args.bin").write_bytes(b"pickle")
    found = store.newest()
    assert found is not None
    assert found.step == 10
    assert "training_args.bin is not in the manifest" in notes[0]


def test_files_of_two_checkpoints_are_not_mixed(store: CheckpointFolder, notes: list[str]):
    folder = store.settings.folder
    shutil.copy(folder / "step-00000010" / "tensors", folder / "step-00000020" / "tensors")
    found = store.newest()
    assert found is not None
    assert found.step == 10
    assert "tensors has other bytes" in notes[0]


def test_a_checkpoint_under_another_step_is_refused(store: CheckpointFolder, notes: list[str]):
    (store.settings.folder / "step-00000020").rename(store.settings.folder / "step-00000030")
    found = store.newest()
    assert found is not None
    assert found.step == 10
    assert "its manifest says step 20" in notes[0]


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({**CLAIMS, "identity": "other"}, "its identity is same, not other"),
        ({**CLAIMS, "made_with": "torch 2"}, "its made_with is torch 1, not torch 2"),
        ({"identity": "same"}, "its made_with is torch 1, not None"),
    ],
)
def test_a_checkpoint_of_another_fine_tune(store: CheckpointFolder, notes: list[str], claims: dict, message: str):
    other = CheckpointFolder(store.settings, claims)
    assert other.newest() is None
    assert len(notes) == 2
    assert message in notes[0]
    assert "starts from step 0" in notes[0]
    assert names(store) == ["refused-step-00000010", "refused-step-00000020"]


def test_another_schema_is_refused(store: CheckpointFolder, notes: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sealing, "SCHEMA", 2)
    assert store.newest() is None
    assert "written under checkpoint schema 1" in notes[0]
    assert "this version reads schema 2" in notes[0]


def test_what_a_killed_writer_left_is_swept_up(store: CheckpointFolder, notes: list[str]):
    for name in ("writing-00000030", "removing-step-00000001", "scratch"):
        (store.settings.folder / name).mkdir()
        (store.settings.folder / name / "tensors").write_bytes(b"half")
    with store.held():
        assert names(store) == ["step-00000010", "step-00000020"]
        found = store.newest()
    assert found is not None
    assert found.step == 20
    assert len(notes) == 1


@pytest.mark.parametrize("room", range(2))
def test_a_full_disk_leaves_the_older_ones_whole(store: CheckpointFolder, room: int):
    with pytest.raises(TrainingError) as caught:
        store.write(30, Files(files_of(30), room))
    full_disk_leaves_the_older_ones_whole(store, caught.value)


def test_a_disk_with_no_room_for_the_manifest(store: CheckpointFolder, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path) -> None:
        if path.name == MANIFEST:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sealing, "sync", full)
    with pytest.raises(TrainingError) as caught:
        store.write(30, Files(files_of(30)))
    full_disk_leaves_the_older_ones_whole(store, caught.value)


def full_disk_leaves_the_older_ones_whole(store: CheckpointFolder, error: TrainingError) -> None:
    assert "the checkpoint of step 30 (" in error.what
    assert " MB) cannot be written: No space left on device" in error.what
    assert "it goes on from step 20" in (error.fix or "")
    assert names(store) == ["step-00000010", "step-00000020"]
    found = store.newest()
    assert contents(found) == files_of(20)


def test_scratch_files_are_gone_in_the_end(store: CheckpointFolder):
    with pytest.raises(KeyboardInterrupt), store.held():
        store.scratch.mkdir()
        (store.scratch / "file").write_text("")
        raise KeyboardInterrupt
    assert names(store) == ["step-00000010", "step-00000020"]


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").write_text("")
    store = CheckpointFolder(Checkpoints(tmp_path / "file" / "run", "same"), CLAIMS)
    with pytest.raises(TrainingError, match=r"checkpoints cannot be written[\s\S]*checkpoint_dir"), store.held():
        pass


def test_two_processes_do_not_share_a_folder(store: CheckpointFolder):
    second = CheckpointFolder(store.settings, CLAIMS)
    refused = pytest.raises(TrainingError, match="another process is training this very fine-tune")
    with store.held(), refused, second.held():
        pass
    with second.held():
        pass


_WRITER = """
import sys
from pathlib import Path
from predictor.finetune.checkpoints import CheckpointFolder, Checkpoints
from tests.finetune.test_checkpoints import Files
store = CheckpointFolder(Checkpoints(Path(sys.argv[1]), "same"), {"identity": "same"})
with store.held():
    found = store.newest()
    step = found.step if found else 0
    print("ready", flush=True)
    while True:
        step += 1
        store.write(step, Files({"a": str(step).encode() * 20000, "b": str(step).encode()}))
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path, notes: list[str]):
    chance, last = random.Random(), 0
    store = CheckpointFolder(Checkpoints(tmp_path, "same", note=notes.append), {"identity": "same"})
    for _ in range(8):
        command = [sys.executable, "-c", _WRITER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(chance.uniform(0.01, 0.06))
            writer.send_signal(signal.SIGKILL)
        with store.held():
            found = store.newest()
        if found is not None:
            assert found.step >= last
            assert contents(found) == {"a": str(found.step).encode() * 20000, "b": str(found.step).encode()}
            last = found.step
    assert last > 0
    assert not [note for note in notes if "refused" in note]


def test_the_manifest_can_be_read_by_a_person(store: CheckpointFolder):
    manifest = json.loads((store.settings.folder / "step-00000020" / MANIFEST).read_text())
    assert manifest["step"] == 20
    assert manifest["claims"] == CLAIMS
    assert manifest["files"]["tensors"]["bytes"] == len(files_of(20)["tensors"])
