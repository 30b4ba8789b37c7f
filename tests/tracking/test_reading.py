"""All ways of reading a store give the same records."""

from __future__ import annotations

import logging
import sqlite3

import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.entities import PagedList
from sqlalchemy.exc import OperationalError

from predictor.errors import TrackingError
from predictor.schema import keys
from predictor.tracking import direct, read_records, reader, selection, windows
from predictor.tracking.database import Database, Unreadable, _alike
from predictor.tracking.selection import Selection, experiment_ids
from tests.tracking.populated import Populated, plain


@pytest.fixture(params=["sqlite", "server", "postgres"])
def populated(request: pytest.FixtureRequest) -> Populated:
    names = {"sqlite": "store", "server": "server_uri", "postgres": "postgres_uri"}
    return Populated(request.getfixturevalue(names[request.param]))


@pytest.fixture
def in_sqlite(store: str) -> Populated:
    return Populated(store)


def _directly(populated: Populated, **changes: object) -> list[str]:
    chosen = _selection(populated, **changes)
    return plain(direct.read(populated.uri, chosen))


def _searched(populated: Populated, page: int = 1000, **changes: object) -> list[str]:
    found = windows.search(populated.client, _selection(populated, **changes), page)
    return plain(sorted(map(reader.record_of, found), key=lambda record: (record.start_time, record.run_id)))


def _selection(populated: Populated, kind: str | None = keys.KIND_FINETUNE, parent: str | None = None) -> Selection:
    return Selection(experiment_ids(populated.client, populated.names), kind, parent)


def test_a_reading_gives_the_records_one_by_one(populated: Populated) -> None:
    def read(names: list[str], **changes: object) -> list[str]:
        return plain(read_records(names, tracking_uri=populated.uri, **changes))  # type: ignore[arg-type]

    expected = plain(populated.expected)
    assert read(populated.names) == expected
    assert read([populated.names[1]]) == expected[-3:]
    assert read(populated.names, parent=populated.parent) == [expected[0], expected[-1]]
    assert len(read(populated.names, kind=None)) == len(expected) + 2
    assert read(populated.names, kind=keys.KIND_META) == []
    # The same windows, whose ends fall before, into and behind the millisecond that seven runs share.
    for page in (1, 3, 7, 9, 1000):
        assert _searched(populated, page) == expected, page


def test_empty_pages_in_between_are_followed(in_sqlite: Populated, monkeypatch: pytest.MonkeyPatch) -> None:
    original = in_sqlite.client.search_runs

    def hesitant(*args: object, **kwargs: object) -> PagedList:
        """First nothing but a token, as some stores answer, and only for that token the page."""
        if kwargs["page_token"] is None:
            return PagedList([], token="0")
        token = None if kwargs["page_token"] == "0" else kwargs["page_token"]
        return original(*args, **{**kwargs, "page_token": token})

    monkeypatch.setattr(in_sqlite.client, "search_runs", hesitant)
    for page in (1, 4, 1000):
        assert _searched(in_sqlite, page) == plain(in_sqlite.expected)


def test_the_direct_way_is_the_search(in_sqlite: Populated) -> None:
    for changes in ({}, {"kind": None}, {"kind": keys.KIND_PROBE}, {"parent": in_sqlite.parent}, {"kind": "it's"}):
        assert _directly(in_sqlite, **changes) == _searched(in_sqlite, **changes), changes


def test_chunks_of_any_size_hold_the_same_runs(in_sqlite: Populated, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 3):
        monkeypatch.setattr(direct, "_CHUNK", size)
        assert _directly(in_sqlite) == plain(in_sqlite.expected)


def test_a_deleted_run_comes_back_when_it_is_restored(in_sqlite: Populated) -> None:
    in_sqlite.client.restore_run(in_sqlite.deleted)
    assert in_sqlite.deleted in {record.run_id for record in read_records(in_sqlite.names)}
    assert _directly(in_sqlite) == _searched(in_sqlite)


def test_more_experiments_than_a_page_holds(in_sqlite: Populated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "_PAGE", 1)
    assert len(read_records()) == len(in_sqlite.expected)


def test_a_database_of_another_schema_is_searched_and_that_is_said_once(
    in_sqlite: Populated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reader, "_said", set())
    with sqlite3.connect(in_sqlite.uri.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'future'")
    with caplog.at_level(logging.WARNING, "predictor.tracking"):
        for _ in range(2):
            assert plain(read_records(in_sqlite.names)) == plain(in_sqlite.expected)
    assert [record.message for record in caplog.records if "slower" in record.message] == [caplog.messages[0]]
    assert "its schema is future, the installed MLflow's" in caplog.messages[0]


def test_a_database_that_cannot_be_queried_is_searched(
    in_sqlite: Populated, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def locked(*_: object) -> None:
        raise OperationalError("SELECT", {}, Exception("database is locked"))

    monkeypatch.setattr(reader, "_said", set())
    monkeypatch.setattr(Database, "metrics", staticmethod(locked))
    assert plain(read_records(in_sqlite.names)) == plain(in_sqlite.expected)
    assert "database is locked" in caplog.text


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("DROP TABLE tags", "there is no table tags"),
        ("ALTER TABLE runs RENAME COLUMN end_time TO finish_time", "table runs has no column end_time"),
        ("DELETE FROM alembic_version", "its schema is none"),
    ],
)
def test_other_tables_are_named(store: str, statement: str, reason: str) -> None:
    with sqlite3.connect(store.removeprefix("sqlite:///")) as connection:
        connection.execute(statement)
    database = Database(store)
    with pytest.raises(Unreadable, match=reason):
        database.check()
    database.close()


def test_a_store_in_memory_is_searched() -> None:
    database = Database("sqlite://")
    with pytest.raises(Unreadable, match="no table alembic_version"):
        database.check()


def test_workspaces_are_left_to_mlflow(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reader._is_database(store)
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    assert not reader._is_database(store)


def test_a_store_that_stops_answering(in_sqlite: Populated, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object, **__: object) -> None:
        raise MlflowException("gone")

    monkeypatch.setattr(reader, "_is_database", lambda uri: False)
    monkeypatch.setattr("mlflow.MlflowClient.search_runs", silent)
    with pytest.raises(TrackingError, match=r"stopped answering while runs were read \(gone\)"):
        read_records(in_sqlite.names)


@pytest.mark.parametrize(
    ("names", "runs", "each"),
    [
        (("a", "b", "a", "b"), 2, 2),
        (("a", "b", "a", "b"), 1, 0),  # not one run with two keys twice
        (("a", "b", "a"), 2, 0),  # the second run has fewer
        (("a", "b", "b", "a"), 2, 0),
        (("a", "b", "a", "b"), 4, 0),  # two of the four have none
    ],
)
def test_runs_of_one_set_of_keys_need_not_be_counted(names: tuple[str, ...], runs: int, each: int) -> None:
    assert _alike(names, runs) == each
