"""The local copy of runs that have ended: never anything but the store's present state."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from predictor.schema.coded import Coded
from predictor.schema.measured import Metrics
from predictor.schema.records import Records
from predictor.tracking import cache, direct, read_records
from predictor.tracking.cache import EndedRuns, Kept
from predictor.tracking.database import Database, Listed
from predictor.tracking.store import store_identity
from tests.tracking.populated import Populated, plain


class Cached:
    """A store that is read through a cache, however few its runs are; `asked` are the runs whose metrics were read."""

    def __init__(self, populated: Populated, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.populated, self.folder, self.asked = populated, folder, []
        original = Database.metrics

        def metrics(connection: object, run_ids: Sequence[str]) -> object:
            self.asked += run_ids
            return original(connection, run_ids)  # type: ignore[arg-type]

        monkeypatch.setattr(Database, "metrics", staticmethod(metrics))
        monkeypatch.setenv("PREDICTOR_CACHE", str(folder))
        monkeypatch.setattr(direct, "WORTH", 1)
        self.read()

    def read(self) -> Records:
        self.asked.clear()
        return read_records(self.populated.names)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.parquet"))


@pytest.fixture
def cached(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cached:
    return Cached(Populated(store), tmp_path / "cache", monkeypatch)


def test_only_runs_that_have_not_ended_are_read_again(cached: Cached) -> None:
    assert plain(cached.read()) == plain(cached.populated.expected)
    assert cached.asked == [record.run_id for record in cached.populated.expected if record.status == "RUNNING"]
    assert len(cached.files) == 1


def test_what_people_do_in_the_ui_shows_at_once(cached: Cached) -> None:
    client, first = cached.populated.client, cached.populated.expected[0].run_id
    client.set_tag(first, "predictor.failure", "a human said so")
    assert cached.read()[0].failure == "a human said so"
    client.delete_run(first)
    assert first not in {record.run_id for record in cached.read()}
    client.restore_run(first)
    assert cached.read()[0].run_id == first
    client.delete_tag(first, "predictor.kind")
    assert first not in {record.run_id for record in cached.read()}


def test_a_resumed_run_is_read_anew(cached: Cached) -> None:
    client, first = cached.populated.client, cached.populated.expected[0].run_id
    client.update_run(first, status="RUNNING")
    client.log_metric(first, "probe/late", 5.0)
    assert cached.read()[0].probe["late"] == 5.0
    client.set_terminated(first, "FINISHED", end_time=999_999)
    assert cached.read()[0].probe["late"] == 5.0
    assert first in cached.asked
    assert cached.read()[0].probe["late"] == 5.0
    assert first not in cached.asked


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "text"])
def test_a_damaged_file_is_rebuilt(cached: Cached, harm: str) -> None:
    [path] = cached.files
    content = path.read_bytes()
    at = content.index(struct.pack("<d", 3 / 7))  # one of the values
    harmed = {
        "cut": content[: len(content) // 2],
        "flipped": content[:at] + b"\x00" + content[at + 1 :],
        "empty": b"",
        "text": b"not a table",
    }
    path.write_bytes(harmed[harm])
    assert plain(cached.read()) == plain(cached.populated.expected)
    assert len(cached.asked) == len(cached.populated.expected)
    assert path not in cached.files
    assert len(cached.files) == 1


def test_a_folder_that_cannot_be_written_only_costs_time(
    cached: Cached, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "file"))
    assert plain(cached.read()) == plain(cached.populated.expected)


def test_a_small_store_leaves_no_files(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    Populated(store)
    read_records()
    assert not (tmp_path / "cache").exists()


def _ended(number: int, end_time: int = 1) -> Listed:
    return Listed(f"run-{number}", "FINISHED", 0, end_time)


def _kept(*runs: Listed) -> Kept:
    """Each run with its end time as its only metric."""
    rows = {run.run_id: row for row, run in enumerate(runs)}
    same = Coded.of(["{}"] * len(runs)), Coded.of(["0123456789"] * len(runs))
    return Kept(rows, *same, Metrics.of([{"probe/x": float(run.end_time or 0)} for run in runs]))


def _keep(folder: Path, *runs: Listed) -> EndedRuns:
    ended = EndedRuns("store", folder)
    ended.load({})
    ended.add({run.run_id: run for run in runs}, _kept(*runs))
    return ended


def _plain(kept: Kept) -> dict[str, tuple[object, ...]]:
    """Run → what is kept of it."""
    return {
        run_id: (kept.params[row], kept.sketch[row], kept.metrics.names[row], kept.metrics.run(row).tolist())
        for run_id, row in kept.rows.items()
    }


def test_many_files_become_one_and_the_latest_ending_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_FILES", 3)
    _keep(tmp_path, _ended(0), _ended(1))
    _keep(tmp_path, _ended(2))
    _keep(tmp_path, _ended(0, end_time=2))
    behind, ahead = EndedRuns("store", tmp_path), EndedRuns("store", tmp_path)
    wanted = {run.run_id: run for run in (_ended(0, end_time=2), _ended(1))}  # the merge keeps the others too
    expected = {name: ("{}", "0123456789", ("probe/x",), [x]) for name, x in (("run-0", 2.0), ("run-1", 1.0))}
    found = behind.load(wanted)
    ahead.load(wanted)
    ahead.merge()
    assert len(list(tmp_path.rglob("*.parquet"))) == 1
    # A process that had read the files before they were merged goes on, and merges once more.
    assert _plain(found) == expected
    behind.merge()
    after = EndedRuns("store", tmp_path).load({**wanted, "run-2": _ended(2), "run-3": _ended(3)})
    assert _plain(after) == {**expected, "run-2": ("{}", "0123456789", ("probe/x",), [1.0])}


def test_only_what_has_ended_is_kept(tmp_path: Path) -> None:
    ended = EndedRuns("store", tmp_path)
    ended.add({"run-1": _ended(1)}, _kept(_ended(0), _ended(1, end_time=5), _ended(2)))
    ended.add({}, _kept(_ended(0)))
    found = EndedRuns("store", tmp_path).load({f"run-{k}": _ended(k) for k in range(3)})
    assert _plain(found) == {"run-1": ("{}", "0123456789", ("probe/x",), [5.0])}


def test_a_file_is_read_in_groups_that_hold_their_own_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_GROUP", 2)
    runs = [_ended(k, end_time=k) for k in range(5)]
    kept = dataclasses.replace(_kept(*runs), sketch=Coded.of([f"{k // 2:010d}" for k in range(5)]))
    wanted = {run.run_id: run for run in runs}
    EndedRuns("store", tmp_path).add(wanted, kept)
    assert _plain(EndedRuns("store", tmp_path).load(wanted)) == _plain(kept)
    [path] = tmp_path.rglob("*.parquet")
    sketches = [table.column("sketch").chunk(0).dictionary.to_pylist() for table in cache._groups(path)]
    assert sketches == [["0000000000"], ["0000000001"], ["0000000002"]]


def test_stores_are_told_apart_and_no_password_is_part_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store_identity("sqlite:///a.db") == store_identity(f"sqlite:///{tmp_path}/a.db")
    assert store_identity("sqlite:///a.db") != store_identity("sqlite:///b.db")
    assert store_identity("postgresql://u:secret@h/d") == store_identity("postgresql+psycopg2://u:other@h/d")
    assert "secret" not in store_identity("postgresql://u:secret@h/d")
    _keep(tmp_path, _ended(0))
    assert not EndedRuns("another store", tmp_path).load({"run-0": _ended(0)}).rows
