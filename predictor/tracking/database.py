"""MLflow's tables by SQL, without its objects: a hundred values of a run are a hundred rows, not a hundred objects.

Nothing here writes. The layout of the tables is MLflow's own affair, so :meth:`Database.check` refuses every database
whose migrations are not exactly those of the installed MLflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy
from sqlalchemy import BigInteger, Boolean, Float, Integer, String, column, select, table

from predictor.schema import keys
from predictor.tracking.selection import PARENT_TAGS, Selection

BACKENDS = ("sqlite", "postgresql")
_RUNS = table(
    "runs",
    column("run_uuid", String),
    column("status", String),
    column("start_time", BigInteger),
    column("end_time", BigInteger),
    column("lifecycle_stage", String),
    column("experiment_id", Integer),
)
_TAGS = table("tags", column("key", String), column("value", String), column("run_uuid", String))
_PARAMS = table("params", column("key", String), column("value", String), column("run_uuid", String))
_METRICS = table(
    "latest_metrics",
    column("key", String),
    column("value", Float),
    column("is_nan", Boolean),
    column("run_uuid", String),
)
_REVISION = table("alembic_version", column("version_num", String))


class Unreadable(Exception):
    """The tables are not as they are expected; the message says in what."""


class Listed(NamedTuple):
    """A run without its values; times in milliseconds since the epoch, UTC."""

    run_id: str
    status: str
    start_time: int
    end_time: int | None


_BETWEEN = "\x1e"
"""Between texts of a run: the record separator of ASCII, which no tag of ours holds."""
Texts = dict[str, tuple[tuple[str, ...], tuple[str | None, ...]]]
"""Run id → keys and, in the same order, their values. A run without any is not in it."""


class Alike(NamedTuple):
    """Metrics of runs that have the same keys in the same order; `values` is (runs, keys), with NaN."""

    run_ids: list[str]
    names: tuple[str, ...]
    values: np.ndarray


class Database:
    """A tracking database, open for reading until :meth:`close`."""

    def __init__(self, uri: str) -> None:
        url = sqlalchemy.make_url(uri)
        sqlite = url.get_backend_name() == "sqlite"
        self._engine = sqlalchemy.create_engine(
            url,
            poolclass=sqlalchemy.StaticPool,  # one connection, for one reading
            # MLflow too waits 20 seconds for another process to finish writing.
            connect_args={"timeout": 20} if sqlite else {},
            **({} if sqlite else {"isolation_level": "REPEATABLE READ"}),
        )
        self._sqlite = sqlite

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()

    def check(self) -> None:
        """Look whether the tables are those that the installed MLflow makes.

        Raises:
            Unreadable: they are not. SQLAlchemyError: the database does not answer.
        """
        with self.snapshot() as connection:
            inspector = sqlalchemy.inspect(connection)
            for expected in (_REVISION, _RUNS, _TAGS, _PARAMS, _METRICS):
                if not inspector.has_table(expected.name):
                    raise Unreadable(f"there is no table {expected.name}")
                found = {each["name"] for each in inspector.get_columns(expected.name)}
                missing = sorted({each.name for each in expected.columns} - found)
                if missing:
                    raise Unreadable(f"table {expected.name} has no column {', '.join(missing)}")
            revisions = {str(revision) for (revision,) in connection.execute(select(_REVISION.c.version_num))}
        if revisions != {_expected_revision()}:
            raise Unreadable(
                f"its schema is {', '.join(sorted(revisions)) or 'none'}, the installed MLflow's {_expected_revision()}"
            )

    @contextmanager
    def snapshot(self) -> Iterator[sqlalchemy.Connection]:
        """A transaction in which all queries see the same state. Keep it short: it keeps SQLite's writers waiting."""
        with self._engine.connect() as connection:
            if self._sqlite:
                connection.exec_driver_sql("BEGIN")  # its driver would not begin one for a SELECT
            yield connection
            connection.rollback()

    def listed(self, selection: Selection) -> dict[str, Listed]:
        """The selected runs by their ids, oldest first, ties by run id; but of every kind.

        The kind is told by their tags: an index knows which runs have a tag, and its value is read with all others
        anyway.
        """
        key = keys.TAG_KIND if selection.kind else keys.TAG_SCHEMA
        tagged = select(_TAGS.c.run_uuid).where(_TAGS.c.key == key)
        found = (
            select(_RUNS.c.run_uuid, _RUNS.c.status, _RUNS.c.start_time, _RUNS.c.end_time)
            .where(_RUNS.c.lifecycle_stage == "active", _RUNS.c.start_time >= 0)
            .where(_RUNS.c.experiment_id.in_([int(each) for each in selection.experiments]))
        )
        if selection.parent:
            parent = select(1).where(_TAGS.c.run_uuid == _RUNS.c.run_uuid, _TAGS.c.key.in_(PARENT_TAGS))
            found = found.where(parent.where(_TAGS.c.value == selection.parent).exists())
        with self.snapshot() as connection:
            ours = {run_id for (run_id,) in _rows(connection.execute(tagged))}
            rows = [row for row in _rows(connection.execute(found)) if row[0] in ours]
        rows.sort(key=itemgetter(2, 0))  # here: a database may sort text by the rules of a language
        return {row[0]: Listed(*row) for row in rows}

    @staticmethod
    def tags(connection: sqlalchemy.Connection, run_ids: Sequence[str]) -> Texts:
        """Our tags but the row sketch, which is longer than all others together and has a reading of its own."""
        ours = f"AND substr(key, 1, {len(keys.TAGS)}) = '{keys.TAGS}' AND key <> '{keys.TAG_ROW_SKETCH}'"
        return _texts(connection, "tags", run_ids, ours)

    @staticmethod
    def tag(connection: sqlalchemy.Connection, key: str, run_ids: Sequence[str]) -> dict[str, str]:
        """Run id → value of one tag, for the runs that have it."""
        if not run_ids:
            return {}
        chosen, ids = _chosen(connection, "tags", run_ids)
        rows = _rows(connection.exec_driver_sql(f"SELECT run_uuid, value {chosen} AND key = '{key}'", ids))
        return {run_id: value for run_id, value in rows if value is not None}

    @staticmethod
    def params(connection: sqlalchemy.Connection, run_ids: Sequence[str]) -> Texts:
        """All params of the runs."""
        return _texts(connection, "params", run_ids)

    @staticmethod
    def metrics(connection: sqlalchemy.Connection, run_ids: Sequence[str]) -> list[Alike]:
        """The latest value of each metric; the table holds NaN as 0 with a mark. Runs without metrics are left out."""
        names, values, counts = _ordered(
            connection, "latest_metrics", "CASE WHEN is_nan THEN NULL ELSE value END", run_ids
        )
        numbers = np.array(values, dtype=float)  # NULL, which is None, becomes NaN
        found: list[Alike] = []
        at = 0
        for keys_of_runs, ids in _neighbours(names, counts):
            size = len(keys_of_runs) * len(ids)
            found.append(Alike(ids, keys_of_runs, numbers[at : at + size].reshape(len(ids), -1)))
            at += size
        return found


def _texts(connection: sqlalchemy.Connection, source: str, run_ids: Sequence[str], further: str = "") -> Texts:
    """Keys and values of texts, those of a run put together by the database: a row for a run, not for a value."""
    if not run_ids:
        return {}
    chosen, ids = _chosen(connection, source, run_ids)
    together = "group_concat({0}, char(30))" if connection.dialect.name == "sqlite" else "string_agg({0}, chr(30))"
    parts = ", ".join(together.format(name) for name in ("key", "value"))
    cut: Texts = {}
    odd = []
    seen: dict[str, tuple[str, ...]] = {}  # most runs have the same keys
    rows = _rows(
        connection.exec_driver_sql(
            f"SELECT run_uuid, count(*), count(value), {parts} {chosen} {further} GROUP BY run_uuid", ids
        )
    )
    for run_id, count, known, keys_text, values_text in rows:
        names = seen.get(keys_text) or seen.setdefault(keys_text, tuple(keys_text.split(_BETWEEN)))
        values = tuple((values_text or "").split(_BETWEEN))
        if len(names) == len(values) == count == known:
            cut[run_id] = names, values
        else:  # a text that holds the separator itself, or no text at all
            odd.append(run_id)
    names, values, counts = _ordered(connection, source, "value", odd, further)
    at = 0
    for run_id, count in counts.items():
        cut[run_id] = names[at : at + count], values[at : at + count]
        at += count
    return cut


def _chosen(connection: sqlalchemy.Connection, source: str, run_ids: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """SQL by hand: composing a thousand bound parameters would take SQLAlchemy longer than the query takes."""
    marker = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    return f"FROM {source} WHERE run_uuid IN ({', '.join([marker] * len(run_ids))})", tuple(run_ids)


def _ordered(
    connection: sqlalchemy.Connection, source: str, value: str, run_ids: Sequence[str], further: str = ""
) -> tuple[tuple[str, ...], tuple[Any, ...], dict[str, int]]:
    """Keys and values run after run, and how many of them each run has.

    A second query of the same snapshot counts them where runs differ: a run id beside each of the values would cost a
    third more time.
    """
    if not run_ids:
        return (), (), {}
    chosen, ids = _chosen(connection, source, run_ids)
    chosen = f"{chosen} {further}"
    rows = _rows(connection.exec_driver_sql(f"SELECT key, {value} {chosen} ORDER BY run_uuid", ids))
    if not rows:
        return (), (), {}
    names, values = zip(*rows, strict=True)
    each = _alike(names, len(ids))
    # Run ids are ASCII, which SQLite sorts as Python does; other databases may sort by the rules of a language.
    if each and connection.dialect.name == "sqlite":
        return names, values, dict.fromkeys(sorted(ids), each)
    counted = f"SELECT run_uuid, count(*) {chosen} GROUP BY run_uuid ORDER BY run_uuid"
    counts = dict(_rows(connection.exec_driver_sql(counted, ids)))
    if sum(counts.values()) != len(rows):
        raise Unreadable(f"two readings of table {source} in one transaction differ")
    return names, values, counts


def _neighbours(names: tuple[str, ...], counts: dict[str, int]) -> list[tuple[tuple[str, ...], list[str]]]:
    """Keys, and the runs next to each other that have just these."""
    found: list[tuple[tuple[str, ...], list[str]]] = []
    at = 0
    for run_id, count in counts.items():
        own = names[at : at + count]
        if found and own == found[-1][0]:
            found[-1][1].append(run_id)
        else:
            found.append((own, [run_id]))
        at += count
    return found


def _alike(names: tuple[str, ...], runs: int) -> int:
    """How many keys each run has, when the sequence of keys is one and the same block for every run; otherwise 0.

    A run has no key twice, so none reaches over a block's length; with a block for each run, none falls short of it
    either.
    """
    each, rest = divmod(len(names), runs)
    block = names[:each]
    alike = rest == 0 and len(set(block)) == each and names == block * runs
    return each if alike else 0


def _rows(result: sqlalchemy.CursorResult[Any]) -> list[tuple[Any, ...]]:
    """The driver's own tuples: SQLAlchemy's rows would take as long again as the database."""
    try:
        return list(result.cursor.fetchall())
    finally:
        result.close()


@cache
def _expected_revision() -> str:
    try:
        from mlflow.store.db.utils import _get_latest_schema_revision

        return str(_get_latest_schema_revision())
    except Exception as error:  # a private function: another MLflow may lack it, and then nothing is known
        raise Unreadable(f"the installed MLflow does not name its schema ({type(error).__name__})") from error
