"""What a process may use of memory: the least of machine, container and share."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from predictor.errors import ConfigError
from predictor.models import crew
from predictor.models import room as rooms
from predictor.models.device import Device
from predictor.models.room import GPU_SHARERS, SHARE, Room, main_memory, room, shares, spare

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
GPU = Device("cuda", bf16=True, flash_attention=False, memory_bytes=80_000_000_000)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 GB are available, in no container, and nobody has set a share."""
    monkeypatch.delenv(SHARE, raising=False)
    monkeypatch.delenv(GPU_SHARERS, raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_000_000_000))
    monkeypatch.setattr(rooms, "_limits", lambda: iter(()))


def group(folder: Path, files: dict[str, object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n")


def in_group(monkeypatch: pytest.MonkeyPatch, top: Path, line: str) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8_000_000_000))
    monkeypatch.setattr(rooms, "_CGROUPS", top)
    read = Path.read_text
    monkeypatch.setattr(
        Path, "read_text", lambda self, *a, **k: line if str(self) == "/proc/self/cgroup" else read(self, *a, **k)
    )


def test_without_a_container_it_is_what_the_machine_has_available():
    assert main_memory() == Room(8_000_000_000, "available memory of the machine")
    assert room(CPU) == main_memory()
    assert spare("cpu") == 8_000_000_000


@pytest.mark.parametrize("inside", [True, False])
def test_the_limit_of_a_container_counts_less_what_it_uses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inside: bool
):
    inner = tmp_path / "jobs" / "mine"
    group(inner, {"memory.max": "max", "memory.current": 10, "memory.stat": "inactive_file 0"})
    # A limit of a group further out holds too; pages of files that nobody uses are not counted.
    limit = {
        "memory.max": 5_000_000_000,
        "memory.current": 2_000_000_000,
        "memory.stat": "anon 1\ninactive_file 500000000",
    }
    group(tmp_path / "jobs" if inside else tmp_path, limit)
    in_group(monkeypatch, tmp_path, "0::/jobs/mine\n" if inside else "0::/a/path/of/the/host\n")
    found = main_memory()
    assert found.bytes == 3_500_000_000
    assert found.source == f"the memory limit of {tmp_path / 'jobs' if inside else tmp_path}"


def test_a_container_of_the_first_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    group(
        tmp_path / "memory" / "mine",
        {"memory.limit_in_bytes": 3_000_000_000, "memory.usage_in_bytes": 1_000_000_000, "memory.stat": "cache 4"},
    )
    in_group(monkeypatch, tmp_path, "9:cpu,memory:/mine\n8:pids:/x\n")
    assert main_memory().bytes == 2_000_000_000


def test_workers_of_a_sweep_share_what_is_free(monkeypatch: pytest.MonkeyPatch):
    assert shares(4, gpus=0) == {SHARE: "2000000000"}
    assert shares(4, gpus=3) == {SHARE: "2000000000", GPU_SHARERS: "2"}
    own = SimpleNamespace(rss=900_000_000, shared=400_000_000)
    monkeypatch.setattr(psutil.Process, "memory_info", lambda self: own)
    monkeypatch.setenv(SHARE, "2000000000")
    assert room(CPU).bytes == 1_500_000_000
    assert "share of main memory" in room(CPU).source
    monkeypatch.setenv(SHARE, "100")
    assert room(CPU).bytes == 0
    monkeypatch.setenv(SHARE, "90000000000")  # others have taken more than theirs
    assert room(CPU) == main_memory()
    monkeypatch.setenv(SHARE, "4000000000")  # a sweep that has a share itself divides that
    assert shares(2, gpus=0) == {SHARE: "2000000000"}


def test_a_gpu_is_shared_by_the_workers_on_it(monkeypatch: pytest.MonkeyPatch):
    assert room(GPU) == Room(80_000_000_000, "memory of the GPU")
    monkeypatch.setenv(GPU_SHARERS, "2")
    assert room(GPU) == Room(40_000_000_000, "memory of the GPU, which 2 workers share")


@pytest.mark.parametrize("name", [SHARE, GPU_SHARERS])
def test_a_share_that_is_no_number(monkeypatch: pytest.MonkeyPatch, name: str):
    monkeypatch.setenv(name, "4 GB")
    with pytest.raises(ConfigError, match=f"{name}='4 GB' is no whole number"):
        room(CPU if name == SHARE else GPU)


def test_processes_that_train_one_fine_tune_share_the_memory(monkeypatch: pytest.MonkeyPatch):
    alone = room(CPU)
    monkeypatch.setattr(crew, "_current", crew.Crew(0, 4, 0, 4))
    shared = room(CPU)
    assert shared.bytes == pytest.approx(alone.bytes / 4, rel=0.1)
    assert "which 4 processes share" in shared.source
