"""The direct way of reading runs: a database store by a few queries, with a local copy of what no longer changes."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np

from predictor.schema import keys
from predictor.schema.codec import METRIC_FIELDS, TAG_FIELDS, check_version, decode_hp
from predictor.schema.coded import Coded, Coder
from predictor.schema.measured import Collected
from predictor.schema.records import Records
from predictor.tracking.cache import ENDED, WORTH, EndedRuns, Kept
from predictor.tracking.database import Database, Listed, Texts, Unreadable
from predictor.tracking.selection import Selection
from predictor.tracking.store import store_identity

_CHUNK = 200
"""Runs in one transaction: a few hundredths of a second in which SQLite's writers wait. The rows of a thousand runs
would take five times the memory, which the system hands out anew each time, and no less time."""
_PREFIXES = tuple(METRIC_FIELDS.values())
_FIELDS = [field for field, (tag, _) in TAG_FIELDS.items() if tag != keys.TAG_ROW_SKETCH]
_TAGS = [*(TAG_FIELDS[field][0] for field in _FIELDS), keys.TAG_SCHEMA]
_KIND = _TAGS.index(keys.TAG_KIND)


def read(uri: str, selection: Selection) -> Records:
    """The selected runs, oldest first, ties by run id.

    Raises:
        Unreadable: the tables are not those that the installed MLflow makes.
        SQLAlchemyError: the database does not answer.
        SchemaError: a run was written under a schema version that this package does not know.
    """
    with _collector_paused(), closing(Database(uri)) as database:
        database.check()
        listed = database.listed(selection)
        ended = {run.run_id: run for run in listed.values() if run.status in ENDED and run.end_time is not None}
        # Below this size a cache saves nothing that anybody would notice.
        cache = EndedRuns(store_identity(uri)) if len(ended) >= WORTH else None
        found = cache.load(ended) if cache else Kept.together([])
        tags, fresh = _Tags(selection.kind), _Fresh()
        run_ids = list(listed)
        for start in range(0, len(run_ids), _CHUNK):
            chunk = run_ids[start : start + _CHUNK]
            with database.snapshot() as connection:
                selected = tags.add(chunk, database.tags(connection, chunk))
                fresh.add(database, connection, [run_id for run_id in selected if run_id not in found.rows])
        new = fresh.kept()
        if cache and sum(run_id in ended for run_id in new.rows) >= WORTH:
            cache.add(ended, new)
        if cache:
            cache.merge()
        return _records([listed[run_id] for run_id in tags.run_ids], tags.columns(), Kept.together([found, new]))


class _Tags:
    """The tags that a record holds, by field, of the runs of one kind, or of all kinds when it is None."""

    def __init__(self, kind: str | None) -> None:
        self.run_ids: list[str] = []
        self._kind = kind
        self._columns = [Coder() for _ in _TAGS]

    def add(self, run_ids: Sequence[str], tags: Texts) -> list[str]:
        """Add those of the runs that are of the kind; returns them."""
        of_kind, rows = [], []
        for run_id in run_ids:
            names, values = tags.get(run_id, ((), ()))
            row = _taker(names)((*values, None))
            if self._kind is None or row[_KIND] == self._kind:
                of_kind.append(run_id)
                rows.append(row)
        for coder, column in zip(self._columns, zip(*rows, strict=True), strict=bool(rows)):
            coder.add(column)
        self.run_ids += of_kind
        return of_kind

    def columns(self) -> dict[str, Coded]:
        """The fields of records that tags hold.

        Raises:
            SchemaError: a run was written under a schema version that this package does not know.
        """
        *columns, versions = (coder.coded() for coder in self._columns)
        for row in versions.firsts():
            check_version(versions[row], self.run_ids[row])
        return {field: column.map(TAG_FIELDS[field][1]) for field, column in zip(_FIELDS, columns, strict=True)}


class _Fresh:
    """What is read of runs that are not kept."""

    def __init__(self) -> None:
        self._run_ids: list[str] = []
        self._params, self._sketches, self._metrics = Coder(), Coder(), Collected()

    def add(self, database: Database, connection: Any, run_ids: Sequence[str]) -> None:
        sketches = database.tag(connection, keys.TAG_ROW_SKETCH, run_ids)
        params = database.params(connection, run_ids)
        without = dict.fromkeys(run_ids)
        for runs, names, values in database.metrics(connection, run_ids):
            held, positions = _held(names)
            self._metrics.add_alike(held, values[:, positions])
            self._add_texts(runs, params, sketches)
            for run_id in runs:
                del without[run_id]
        self._metrics.add_alike((), np.empty((len(without), 0)))
        self._add_texts(list(without), params, sketches)

    def kept(self) -> Kept:
        rows = {run_id: row for row, run_id in enumerate(self._run_ids)}
        return Kept(rows, self._params.coded(), self._sketches.coded(), self._metrics.metrics())

    def _add_texts(self, run_ids: list[str], params: Texts, sketches: dict[str, str]) -> None:
        self._run_ids += run_ids
        self._params.add([_hp_text(*params.get(run_id, ((), ()))) for run_id in run_ids])
        self._sketches.add([sketches.get(run_id, "") for run_id in run_ids])


def _records(listed: Sequence[Listed], columns: dict[str, Coded], kept: Kept) -> Records:
    rows = np.array([kept.rows[run.run_id] for run in listed], dtype=np.int64)
    columns["status"] = Coded.of([run.status for run in listed])
    columns["row_sketch"] = kept.sketch.take(rows)
    columns["hp"] = kept.params.take(rows).map(lambda text: decode_hp(json.loads(text)))
    start_times = np.array([run.start_time for run in listed], dtype=np.int64)
    return Records([run.run_id for run in listed], start_times, columns, kept.metrics.take(rows))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A hundred thousand rows at once would make Python look through all of them for cycles again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@lru_cache(maxsize=1024)
def _taker(names: tuple[str, ...]) -> Callable[[tuple[str | None, ...]], tuple[str | None, ...]]:
    """What takes :data:`_TAGS` out of the values of a run's tags, behind which None stands for those that it lacks."""
    position = {name: i for i, name in enumerate(names)}
    return itemgetter(*(position.get(tag, -1) for tag in _TAGS))


@lru_cache(maxsize=1024)
def _held(names: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """The metrics that a record holds, sorted, and their positions."""
    held = sorted((name, i) for i, name in enumerate(names) if name.startswith(_PREFIXES))
    return tuple(name for name, _ in held), np.array([i for _, i in held], dtype=np.int64)


@lru_cache(maxsize=65536)
def _hp_text(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """The params that are hyperparameters, as JSON; few runs have any of their own."""
    ours = {name: value for name, value in zip(names, values, strict=True) if name.startswith(keys.HP)}
    return json.dumps(ours, sort_keys=True)


__all__ = ["Unreadable", "read"]
