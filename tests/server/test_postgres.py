"""A cluster in a folder: made once, found again after whatever has happened to it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from predictor.errors import ConfigError, TrackingError
from predictor.server import children, postgres
from predictor.server.postgres import Cluster, find_binaries, version_of
from tests.conftest import open_folder


@pytest.fixture(scope="module")
def cluster(installed: Path) -> Iterator[Cluster]:
    """A cluster with one table of one row; a test leaves it running or stopped as it likes."""
    folder = open_folder()
    made = Cluster(folder, children.free_port(), "secret-5f1c", durable=False)
    try:
        made.start()
        with psycopg.connect(made.uri("postgres"), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _answer(cluster: Cluster) -> int:
    with psycopg.connect(cluster.uri("postgres")) as connection:
        return int(connection.execute("SELECT answer FROM kept").fetchone()[0])


def _started(cluster: Cluster) -> Cluster:
    if cluster.process is None or cluster.process.poll() is not None:
        cluster.start()
    return cluster


def test_it_listens_on_loopback_asks_for_a_password_and_keeps_no_copy_of_it(cluster: Cluster):
    _started(cluster)
    with psycopg.connect(cluster.uri("postgres")) as connection:
        shown = [
            connection.execute(f"SHOW {name}").fetchone()[0] for name in ("listen_addresses", "password_encryption")
        ]
    assert shown == ["127.0.0.1", "scram-sha-256"]
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(cluster.uri("postgres").replace("secret-5f1c", "other"))
    assert stat.S_IMODE(cluster.data.stat().st_mode) == 0o700
    assert not [file for file in cluster.folder.iterdir() if file.name.endswith(".part")]
    assert b"secret-5f1c" not in cluster.log.read_bytes()


def test_a_database_is_made_once(cluster: Cluster):
    _started(cluster)
    assert [cluster.create("a"), cluster.create("a")] == [True, False]


def test_what_was_killed_is_found_again(cluster: Cluster):
    """SIGKILL of the postmaster: its note stays, and its other processes take a moment to notice."""
    _started(cluster)
    os.kill(cluster.process.pid, signal.SIGKILL)
    cluster.process.wait()
    assert (cluster.data / "postmaster.pid").exists()
    cluster.start()
    assert _answer(cluster) == 42


def test_the_number_of_a_process_that_is_gone_may_be_somebody_elses_by_now(cluster: Cluster):
    _started(cluster).stop()
    note = cluster.data / "postmaster.pid"
    note.write_text(f"{os.getpid()}\n{cluster.data}\n0\n{cluster.port}\n\n127.0.0.1\n")
    cluster.start()
    assert _answer(cluster) == 42


def test_somebody_elses_server_on_the_folder_is_left_alone(cluster: Cluster, monkeypatch: pytest.MonkeyPatch):
    _started(cluster)
    monkeypatch.setattr(postgres, "_LEFT_S", 0.5)
    other = Cluster(cluster.folder, children.free_port(), "secret-5f1c", durable=False)
    with pytest.raises(TrackingError, match="PostgreSQL runs on the folder already") as caught:
        other.start()
    assert "stop -m fast" in (caught.value.fix or "")
    assert _answer(cluster) == 42


def test_another_password_than_that_of_the_cluster(cluster: Cluster):
    _started(cluster).stop()
    other = Cluster(cluster.folder, cluster.port, "other-5f1c", durable=False)
    with pytest.raises(TrackingError, match="refuses the password that is kept for it") as caught:
        other.start()
    other.stop()
    assert "5f1c" not in str(caught.value)


def test_a_cluster_that_does_not_start_says_its_last_lines(cluster: Cluster):
    _started(cluster).stop()
    file = cluster.data / "postgresql.auto.conf"
    before = file.read_text()
    file.write_text("nonsense = 1\n")
    try:
        with pytest.raises(TrackingError, match="PostgreSQL has ended with status 1") as caught:
            cluster.start()
        assert 'unrecognized configuration parameter "nonsense"' in (caught.value.rule or "")
    finally:
        cluster.stop()
        file.write_text(before)


def test_a_half_made_cluster_is_made_again_and_a_failing_initdb_leaves_none(
    installed: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    (folder / "postgres.part").mkdir()
    (folder / "postgres.part" / "PG_VERSION").write_text("15")
    programs = folder / "bin"
    programs.mkdir()
    for name in ("initdb", "postgres"):
        (programs / name).write_text("#!/bin/sh\necho no room\nexit 3\n")
        (programs / name).chmod(0o755)
    monkeypatch.setattr(postgres, "find_binaries", lambda major: programs)
    with pytest.raises(TrackingError, match="initdb has ended with status 3") as caught:
        Cluster(folder, 1, "secret-5f1c").start()
    assert "no room" in (caught.value.rule or "")
    assert sorted(file.name for file in folder.iterdir()) == ["bin", "postgres.log"]


def test_a_folder_of_another_major_version(installed: Path, folder: Path):
    (folder / "postgres").mkdir()
    (folder / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(
        ConfigError, match=f"made by PostgreSQL 9, and .*{version_of(installed)}.* is installed"
    ) as caught:
        Cluster(folder, 1, "x").start()
    assert "pg_upgrade" in (caught.value.fix or "")
    assert find_binaries(version_of(installed)) == installed


def test_postgresql_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres, "_PLACES", (f"{tmp_path}/*/bin",))
    with pytest.raises(ConfigError, match="PostgreSQL is not installed") as caught:
        find_binaries()
    assert "apt-get install postgresql" in (caught.value.fix or "")


def test_root_needs_another_user(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres, "_SYSTEM_USER", "nobody-of-this-name")
    with pytest.raises(ConfigError, match="there is no user 'nobody-of-this-name'"):
        postgres.account()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as another user")
def test_a_folder_that_the_other_user_cannot_enter(installed: Path, folder: Path):
    folder.chmod(0o700)
    (folder / "inner").mkdir()
    with pytest.raises(ConfigError, match="user 'postgres' cannot enter the folder"):
        Cluster(folder / "inner", 1, "x").start()


def test_a_process_that_does_not_answer_and_one_that_will_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(children, "READY_S", 0.5)
    log = tmp_path / "log"
    process = children.start(["sh", "-c", "trap '' TERM; echo deaf; sleep 100 & wait; sleep 100"], log)
    with pytest.raises(TrackingError, match="it does not answer after 0 s") as caught:
        children.wait_until(lambda: False, process, "it", log, "fix")
    assert caught.value.rule in ("deaf", "none")
    started = time.monotonic()
    children.end(process, (signal.SIGTERM, 0.2))
    assert time.monotonic() - started < 30
    assert process.returncode == -signal.SIGKILL
