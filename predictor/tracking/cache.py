"""A local copy of the metrics and params of runs that have ended, so that a second reading takes only what is new.

What is kept, for each run of a database store: the hyperparameters, the metrics and the sketch of the dataset's rows
that a record holds, under the run's id, its status and its end time. What is never taken from here: which runs there
are, their status, whether they or their experiments are deleted or restored, and all other tags. These are read from
the store every time, so a deletion, a restoration or a tag edited in the UI shows at once; a run that was resumed has
another end time and is read anew.

Guaranteed is therefore the store's present state, with one exception: metrics or params that a client adds to a run
that has ended, without resuming it, are not noticed. Deleting the folder is always safe.

The folder holds Parquet files that are written once and renamed into place, so any number of processes may read and
write at the same time: at worst two of them keep the same runs, or one has to read from the store what another one has
just merged. A file that is damaged is removed, and its runs are read from the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from predictor.cache import cache_folder
from predictor.files import whole_file
from predictor.schema import keys
from predictor.schema.codec import METRIC_FIELDS
from predictor.schema.coded import Coded
from predictor.schema.measured import Collected, Metrics
from predictor.tracking.database import Listed
from predictor.tracking.parquet import chunk, to_bytes, to_coded, to_dictionary, to_doubles

if TYPE_CHECKING:
    import pyarrow

ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
WORTH = 1000
"""Fewer new runs than this are not written: they are read again within a fraction of a second."""
_FORMAT = 3
_FILES = 12
"""More files than this are merged into one."""
_GROUP = 8192
"""Runs that are read from a file at once: Arrow then uses the same few megabytes for all of them."""
_COLUMNS = ("run_id", "status", "end_time", "names", "values", "params", "sketch")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Kept:
    """The values of n runs.

    Attributes:
        rows: run id → its row in the columns, which may hold further rows.
        params: hyperparameters as JSON.
        sketch: texts of the tag that holds the row sketch.
        metrics: those that a record holds.
    """

    rows: Mapping[str, int]
    params: Coded
    sketch: Coded
    metrics: Metrics

    @classmethod
    def together(cls, parts: Sequence[Kept]) -> Kept:
        """All of their runs; of a run that several parts hold, what the last one has."""
        parts = [part for part in parts if part.rows]
        if len(parts) == 1:
            return parts[0]
        rows: dict[str, int] = {}
        metrics, before = Collected(), 0
        for part in parts:
            rows.update((run_id, before + row) for run_id, row in part.rows.items())
            metrics.add(part.metrics)
            before += len(part.metrics)
        params, sketch = (Coded.concat(getattr(part, name) for part in parts) for name in ("params", "sketch"))
        return cls(rows, params, sketch, metrics.metrics())


class EndedRuns:
    """The runs of one store that are kept locally.

    Args:
        identity: names the store (:func:`predictor.tracking.store.store_identity`).
        folder: by default `runs` in `$PREDICTOR_CACHE`, else in `~/.cache/finetune-predictor`.
    """

    def __init__(self, identity: str, folder: Path | None = None) -> None:
        # Files of another format, or of a record that holds other metrics, are another folder's.
        text = json.dumps([_FORMAT, identity, METRIC_FIELDS, keys.HP])
        self.folder = (folder or cache_folder() / "runs") / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._files: list[Path] = []

    def load(self, ended: Mapping[str, Listed]) -> Kept:
        """What is kept of these runs, as they ended; other runs and other endings are passed over."""
        parts: list[Kept] = []
        # In the order of their making, so that of two endings of a run the later one counts.
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                kept = [_kept(table, ended) for table in _groups(path)]
            except FileNotFoundError:  # another process has just merged it
                continue
            except Exception as error:  # pyarrow has no one family for what a damaged file can do
                _log.debug("%s is damaged and removed: %s", path, error)
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            self._files.append(path)
            parts += kept
        return Kept.together(parts)

    def add(self, ended: Mapping[str, Listed], kept: Kept) -> None:
        """Keep more runs, those that are in `ended`.

        A folder that cannot be written is passed over: the next reading is slower, not wrong.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(self.folder, _table(ended, kept))
        except OSError as error:
            _log.debug("%s cannot be written: %s", self.folder, error)

    def merge(self) -> None:
        """When there are many, put one file in place of those that were read, with the latest ending of each run."""
        import pyarrow

        if len(self._files) < _FILES:
            return
        try:
            table = pyarrow.concat_tables([table for path in self._files for table in _groups(path)])
            latest = {run_id: row for row, run_id in enumerate(table.column("run_id").to_pylist())}
            _write(self.folder, table.take(list(latest.values())))
            for path in self._files:
                path.unlink(missing_ok=True)
        except OSError as error:  # also when another process has just merged them
            _log.debug("%s cannot be merged: %s", self.folder, error)


def _groups(path: Path) -> Iterator[pyarrow.Table]:
    """The runs of a file, some thousands at a time."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, list(_COLUMNS)).combine_chunks()


def _kept(table: pyarrow.Table, ended: Mapping[str, Listed]) -> Kept:
    """The runs of the table, as they ended; 8 bytes for a metric."""
    endings = zip(*(table.column(name).to_numpy().tolist() for name in ("run_id", "status", "end_time")), strict=True)
    rows = {}
    for row, (run_id, status, end_time) in enumerate(endings):
        run = ended.get(run_id)
        if run is not None and run.status == status and run.end_time == end_time:
            rows[run_id] = row
    params, sketch, names = (to_coded(chunk(table, name)) for name in ("params", "sketch", "names"))
    names = names.map(lambda text: tuple(json.loads(text)))
    starts, values = to_doubles(chunk(table, "values"))
    sizes = np.array([len(each) for each in names.distinct], dtype=np.int64)[names.codes]
    if not np.array_equal(np.diff(starts), sizes):
        raise ValueError("keys and values do not belong together")
    return Kept(rows, params, sketch, Metrics(names, starts[:-1], values))


def _table(ended: Mapping[str, Listed], kept: Kept) -> pyarrow.Table:
    """The runs of `kept` that have ended."""
    import pyarrow

    run_ids = list(kept.rows)
    runs = [ended.get(run_id) for run_id in run_ids]
    metrics = kept.metrics
    columns = {
        "run_id": pyarrow.array(run_ids),
        "status": pyarrow.array([run and run.status for run in runs], pyarrow.string()),
        "end_time": pyarrow.array([run and run.end_time for run in runs], pyarrow.int64()),
        "names": to_dictionary(metrics.names.map(json.dumps)),
        # The runs of a reading stand one after the other.
        "values": to_bytes(np.append(metrics.starts, len(metrics.values)), metrics.values),
        "params": to_dictionary(kept.params),
        "sketch": to_dictionary(kept.sketch),
    }
    table = pyarrow.table(columns)
    return table.filter(pyarrow.array([run is not None for run in runs])) if None in runs else table


def _write(folder: Path, table: pyarrow.Table) -> None:
    import pyarrow.parquet

    # Names are in the order of their making, and no two processes make the same one.
    path = folder / f"{time.time_ns():020d}-{secrets.token_hex(4)}.parquet"
    with (
        whole_file(path, "wb") as file,
        pyarrow.parquet.ParquetWriter(
            file,
            table.schema,
            compression="none",  # measured numbers do not get shorter
            use_dictionary=["names", "params", "sketch", "status"],
            write_statistics=False,
            write_page_checksum=True,
        ) as writer,
    ):
        for start in range(0, len(table), _GROUP):
            writer.write_table(_compact(table.slice(start, _GROUP)))


def _compact(table: pyarrow.Table) -> pyarrow.Table:
    """The same rows; each group of a file would otherwise be written with the distinct texts of all."""
    table = table.combine_chunks()
    for name in ("names", "params", "sketch"):
        used = to_coded(chunk(table, name)).used()
        table = table.set_column(table.column_names.index(name), name, to_dictionary(used))
    return table
