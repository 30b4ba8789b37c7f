"""The direct way of reading runs: a database store by a few queries, with a local copy of what no longer changes."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from sqlalchemy import Connection

from predictor.schema import RunRecord, keys
from predictor.schema.codec import assemble, sketch_of
from predictor.tracking.cache import ENDED, WORTH, EndedRuns, Kept, store_identity
from predictor.tracking.database import Database, Listed, Unreadable, Values
from predictor.tracking.selection import Selection
from predictor.tracking.shapes import HpShapes, MetricShapes

_CHUNK = 1000
"""Runs in one transaction: less than a tenth of a second in which SQLite's writers wait."""


_FLUSH = 20_000
"""New runs that wait in memory to be kept, each of them about a kilobyte."""


def read(uri: str, selection: Selection) -> list[RunRecord]:
    """The selected runs, oldest first, ties by run id.

    Raises:
        Unreadable: the tables are not those that the installed MLflow makes.
        SQLAlchemyError: the database does not answer.
        SchemaError: a run was written under a schema version that this package does not know.
    """
    database = Database(uri)
    try:
        database.check()
        listed = database.listed(selection)
        ended = {run.run_id: run for run in listed if run.status in ENDED and run.end_time is not None}
        # Below this size a cache saves nothing that anybody would notice.
        cache = EndedRuns(store_identity(uri)) if len(ended) >= WORTH else None
        if cache:
            cache.load(ended)
        with _collector_paused():
            reading = _Reading(database, cache)
            records: list[RunRecord] = []
            runs = iter(listed)
            while chunk := list(islice(runs, _CHUNK)):
                records += reading.records(chunk)
                reading.keep(ended, _FLUSH)
        reading.keep(ended, WORTH)
        if cache:
            cache.merge()
        return records
    finally:
        database.close()


class _Reading:
    """What the chunks of one reading share."""

    def __init__(self, database: Database, cache: EndedRuns | None) -> None:
        self.new: list[tuple[Listed, Kept]] = []
        self._database = database
        self._cache = cache
        self._metrics, self._hp = MetricShapes(), HpShapes()
        self._sketches: dict[str, tuple[str, ...]] = {}  # runs on one dataset share one object
        self._texts: dict[str, str] = {}

    def records(self, chunk: list[Listed]) -> list[RunRecord]:
        """The records of these runs, in their order."""
        kept = {run.run_id: self._cache.get(run.run_id) for run in chunk} if self._cache else {}
        unknown = [run for run in chunk if kept.get(run.run_id) is None]
        with self._database.snapshot() as connection:
            tags = self._database.tags(connection, [run.run_id for run in chunk])
            fresh = self._values(connection, unknown)
        return [self._record(run, tags, kept.get(run.run_id) or fresh[run.run_id]) for run in chunk]

    def _values(self, connection: Connection, runs: list[Listed]) -> dict[str, Kept]:
        """The values of these runs out of the store."""
        ids = [run.run_id for run in runs]
        sketches = self._database.tag(connection, keys.TAG_ROW_SKETCH, ids)
        params = self._database.params(connection, ids)
        metrics = self._database.metrics(connection, ids)
        return {run.run_id: self._fresh(run, sketches, params, metrics) for run in runs}

    def keep(self, ended: Collection[str], least: int) -> None:
        """Hand the new runs that have ended to the cache, once there are at least so many runs."""
        if self._cache and len(self.new) >= least:
            self._cache.add((run, kept) for run, kept in self.new if run.run_id in ended)
            self.new = []

    def _fresh(self, run: Listed, sketches: Mapping[str, str], params: Values, metrics: Values) -> Kept:
        names, values = self._metrics.pick(*metrics.get(run.run_id, ((), ())))
        sketch = sketches.get(run.run_id, "")
        kept = Kept(
            names,
            array("d", values),
            self._hp.text(*params.get(run.run_id, ((), ()))),
            self._texts.setdefault(sketch, sketch),
        )
        if self._cache:
            self.new.append((run, kept))
        return kept

    def _record(self, run: Listed, tags: Values, kept: Kept) -> RunRecord:
        names, values = tags.get(run.run_id, ((), ()))
        sketch = self._sketches.get(kept.sketch)
        if sketch is None:
            sketch = self._sketches[kept.sketch] = sketch_of({keys.TAG_ROW_SKETCH: kept.sketch})
        return assemble(
            dict(zip(names, values, strict=True)),
            self._hp.hp(kept.params),
            self._metrics.fields(kept.names, kept.values),
            sketch,
            run_id=run.run_id,
            status=run.status,
            start_time=run.start_time,
        )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A million new objects that all stay would make Python look through all of them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


__all__ = ["Unreadable", "read"]
