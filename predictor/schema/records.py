"""Many records as columns: a hundred thousand of them are read, selected and averaged without an object for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, overload

import numpy as np

from predictor.schema.codec import METRIC_FIELDS, split_sketch
from predictor.schema.coded import Coded
from predictor.schema.measured import Measured, Metrics
from predictor.schema.record import RunRecord

_OWN = ("run_id", "start_time", "hp", *METRIC_FIELDS)
PLAIN = tuple(field.name for field in dataclasses.fields(RunRecord) if field.name not in _OWN)
"""Fields that are held as they are."""


class Records(Sequence[RunRecord]):
    """n records; one that is asked for is put together from the columns.

    Attributes:
        run_ids: n run ids.
        start_times: (n,) milliseconds since the epoch, UTC.
        columns: every field of a record but those above and its metrics → its values. The hashes of a row sketch are
            one text, as the store has them: most readers ask for no hash, and all hashes would take much memory.
        metrics: with the prefixes under which the tracking store has them.
    """

    def __init__(
        self, run_ids: Sequence[str], start_times: np.ndarray, columns: Mapping[str, Coded], metrics: Metrics
    ) -> None:
        self.run_ids, self.start_times, self.columns, self.metrics = run_ids, start_times, columns, metrics

    @classmethod
    def of(cls, records: Iterable[RunRecord]) -> Records:
        """The records as columns; records that are columns already are returned as they are."""
        if isinstance(records, Records):
            return records
        found = list(records)
        columns = {name: Coded.of([getattr(record, name) for record in found]) for name in PLAIN}
        columns["row_sketch"] = columns["row_sketch"].map("".join)
        # Types too: 1 and 1.0 are equal.
        hp = Coded.of([tuple((name, type(value), value) for name, value in record.hp.items()) for record in found])
        columns["hp"] = hp.map(lambda items: {name: value for name, _, value in items})
        metrics = Metrics.of(map(_prefixed, found))
        start_times = np.array([record.start_time for record in found], dtype=np.int64)
        return cls([record.run_id for record in found], start_times, columns, metrics)

    def __len__(self) -> int:
        return len(self.run_ids)

    @overload
    def __getitem__(self, index: int) -> RunRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> RunRecord | Records:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        row = range(len(self))[index]  # an index from the end, or one that is out of range
        values = self.metrics.run(row)
        fields: dict[str, Any] = {name: column[row] for name, column in self.columns.items()}
        fields["row_sketch"] = _split(fields["row_sketch"])
        for field, part, positions in _parts(self.metrics.names[row]):
            fields[field] = Measured(positions, values[part])
        return RunRecord(run_id=self.run_ids[row], start_time=int(self.start_times[row]), **fields)

    def take(self, rows: np.ndarray) -> Records:
        """The records at `rows`, in that order."""
        return Records(
            [self.run_ids[row] for row in rows.tolist()],
            self.start_times[rows],
            {name: column.take(rows) for name, column in self.columns.items()},
            self.metrics.take(rows),
        )


_split = lru_cache(maxsize=1024)(split_sketch)  # runs on one dataset share one object


def _prefixed(record: RunRecord) -> dict[str, float]:
    fields = {prefix: getattr(record, field) for field, prefix in METRIC_FIELDS.items()}
    return {prefix + name: value for prefix, metrics in fields.items() for name, value in metrics.items()}


@lru_cache(maxsize=1024)
def _parts(names: tuple[str, ...]) -> list[tuple[str, slice, dict[str, int]]]:
    """Field of a record, which of a run's sorted metrics it holds, and their names without the prefix by position."""
    parts = []
    for field, prefix in METRIC_FIELDS.items():
        inside = [position for position, name in enumerate(names) if name.startswith(prefix)]
        # Sorted keys of one prefix stand together.
        part = slice(inside[0], inside[-1] + 1) if inside else slice(0, 0)
        parts.append((field, part, {name.removeprefix(prefix): i for i, name in enumerate(names[part])}))
    return parts
