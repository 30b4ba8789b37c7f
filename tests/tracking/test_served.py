"""The copy of a server's runs: what has changed is read, what has not is not asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from predictor.schema import keys
from predictor.schema.records import Records
from predictor.tracking import read_records, served
from tests.tracking.populated import Populated, plain


class Copied:
    """A server that is read through a copy, however few its runs are; `seen` are the runs that it sent."""

    def __init__(self, populated: Populated, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.populated, self.client, self.folder, self.seen = populated, populated.client, folder, []
        original = MlflowClient.search_runs

        def search_runs(client: MlflowClient, *args: object, **kwargs: object) -> object:
            found = original(client, *args, **kwargs)  # type: ignore[arg-type]
            # Not those by which places are looked at, and not those that are looked for because they run.
            if kwargs.get("max_results") == 1000:
                self.seen += [run.info.run_id for run in found]
            return found

        monkeypatch.setattr(MlflowClient, "search_runs", search_runs)
        monkeypatch.setenv("PREDICTOR_CACHE", str(folder))
        monkeypatch.setattr(served, "WORTH", 1)
        monkeypatch.setattr(served, "_OVERLAP_MS", 0)
        self.read()
        self.expected = populated.expected

    def read(self, **changes: object) -> Records:
        self.seen.clear()
        return read_records(self.populated.names, tracking_uri=self.populated.uri, **changes)  # type: ignore[arg-type]

    def truth(self) -> list[str]:
        """What is read without a copy."""
        for file in self.files:
            file.unlink()
        return plain(self.read())

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.rglob("*.parquet"))


@pytest.fixture
def copied(server_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copied:
    return Copied(Populated(server_uri), tmp_path / "cache", monkeypatch)


def test_only_what_may_have_changed_is_read_again(copied: Copied):
    assert plain(copied.read()) == plain(copied.expected)
    running = [record.run_id for record in copied.expected if record.status == "RUNNING"]
    # The deleted one says that it is; the last ones to start and to end stand at the edge of what is known.
    assert set(copied.seen) <= {*running, copied.populated.deleted, copied.expected[-1].run_id}
    assert len(copied.files) == 1
    assert plain(copied.read()) == copied.truth()


def test_new_runs_and_ends_are_read(copied: Copied):
    a = copied.populated.client.get_experiment_by_name(copied.populated.names[0]).experiment_id
    new = copied.populated.run(a, 5000, probe={"late": 1.0})
    running = next(record.run_id for record in copied.expected if record.status == "RUNNING")
    copied.client.log_metric(running, "probe/late", 2.0)
    copied.client.set_terminated(running, "FINISHED", end_time=3050)
    found = {record.run_id: record for record in copied.read()}
    assert found[new].probe == {"late": 1.0}
    assert (found[running].status, found[running].probe["late"]) == ("FINISHED", 2.0)
    assert copied.expected[0].run_id not in copied.seen
    assert plain(copied.read()) == copied.truth()


def test_a_resumed_run_and_an_evaluated_one_are_read_anew(copied: Copied):
    first, second = (record.run_id for record in copied.expected[:2])
    copied.client.update_run(first, status="RUNNING")
    copied.client.log_metric(first, "probe/late", 5.0)
    assert copied.read()[0].probe["late"] == 5.0
    copied.client.set_terminated(first, "FINISHED", end_time=999_999)
    copied.client.set_tag(second, keys.TAG_EVALUATED, "0" * 32)
    copied.client.log_metric(second, "score/forgetting", 0.25)
    found = {record.run_id: record for record in copied.read()}
    assert found[first].probe["late"] == 5.0
    assert found[second].scores["forgetting"] == 0.25
    assert plain(copied.read()) == copied.truth()


def test_deleted_and_restored_runs_show_at_once(copied: Copied):
    first, last = copied.expected[0].run_id, copied.expected[-1].run_id
    for run_id in (first, last):
        copied.client.delete_run(run_id)
        assert run_id not in {record.run_id for record in copied.read()}
        copied.client.restore_run(run_id)
        assert run_id in {record.run_id for record in copied.read()}
    # One that no copy has ever held moves the others.
    copied.client.restore_run(copied.populated.deleted)
    assert copied.populated.deleted in {record.run_id for record in copied.read()}
    copied.client.delete_run(first)
    copied.client.delete_run(copied.populated.deleted)
    assert len(copied.read()) == len(copied.expected) - 1
    assert plain(copied.read()) == copied.truth()


def test_a_run_with_an_old_start_is_found(copied: Copied):
    a = copied.client.get_experiment_by_name(copied.populated.names[0]).experiment_id
    old = copied.populated.run(a, 20)
    assert copied.read()[0].run_id == old


def test_a_copy_is_for_one_selection_and_for_a_day(copied: Copied, monkeypatch: pytest.MonkeyPatch):
    copied.client.set_tag(copied.expected[0].run_id, keys.TAG_FAILURE, "a human said so")
    assert copied.read()[0].failure is None  # the documented exception
    monkeypatch.setattr(served, "OLDEST_S", 0.0)
    assert copied.read()[0].failure == "a human said so"
    assert len(copied.read(kind=None)) == len(copied.expected) + 2
    assert len(copied.read(kind=keys.KIND_PROBE)) == 1
    assert len(copied.read(parent=copied.populated.parent)) == 2


def test_a_damaged_copy_is_removed_and_a_folder_that_cannot_be_written_is_passed_over(copied: Copied):
    (file,) = copied.files
    file.write_bytes(file.read_bytes()[:-200])
    assert plain(copied.read()) == plain(copied.expected)
    for each in copied.files:
        each.unlink()
    (copied.folder / "runs").rmdir()
    (copied.folder / "runs").write_text("no folder")
    assert plain(copied.read()) == plain(copied.expected)


def test_a_store_whose_tokens_are_no_offsets_is_read_in_full(copied: Copied, monkeypatch: pytest.MonkeyPatch):
    original = MlflowClient.search_runs

    def refuse(client: MlflowClient, *args: object, **kwargs: object) -> object:
        if kwargs.get("max_results") == 2 and kwargs.get("page_token"):
            raise MlflowException("invalid page token")
        return original(client, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(MlflowClient, "search_runs", refuse)
    assert plain(copied.read()) == plain(copied.expected)
    assert copied.expected[0].run_id in copied.seen


def test_the_file_holds_ended_runs_and_what_was_known(copied: Copied):
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(copied.files[0])
    about = json.loads(table.schema.metadata[b"predictor"])
    running = [record.run_id for record in copied.expected if record.status == "RUNNING"]
    assert (about["open"], about["boundary"], about["ended"]) == (running, 4000, 4010)
    assert not set(running) & set(table.column("run_id").to_pylist())
