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
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from predictor.schema import keys
from predictor.schema.codec import METRIC_FIELDS
from predictor.schema.measured import Doubles
from predictor.tracking.database import Listed

if TYPE_CHECKING:
    import pyarrow

ENDED = frozenset({"FINISHED", "FAILED", "KILLED"})
WORTH = 1000
"""Fewer new runs than this are not written: they are read again within a fraction of a second."""
_FORMAT = 2
_FILES = 12
"""More files than this are merged into one."""
_COLUMNS = ("run_id", "status", "end_time", "names", "values", "params", "sketch")
_log = logging.getLogger(__name__)


class Kept(NamedTuple):
    """The values of one run: sorted keys of its metrics, the metrics as an array of doubles, its hyperparameters as
    JSON, and the tag that holds its row sketch."""

    names: tuple[str, ...]
    values: Doubles
    params: str
    sketch: str


class EndedRuns:
    """The runs of one store that are kept locally.

    Args:
        identity: names the store, without a password.
        folder: by default `runs` in `$PREDICTOR_CACHE`, else in `~/.cache/finetune-predictor`.
    """

    def __init__(self, identity: str, folder: Path | None = None) -> None:
        # Files of another format, or of a record that holds other metrics, are another folder's.
        text = json.dumps([_FORMAT, identity, METRIC_FIELDS, keys.HP])
        self.folder = (folder or _default_folder()) / hashlib.sha256(text.encode()).hexdigest()[:16]
        self._where: dict[str, tuple[_File, int]] = {}
        self._files: list[tuple[Path, _File]] = []

    def load(self, ended: Mapping[str, Listed]) -> None:
        """Read what is kept of these runs, as they ended; other runs and other endings are passed over."""
        wanted = {(run.run_id, run.status, run.end_time) for run in ended.values()}
        # In the order of their making, so that of two endings of a run the later one counts.
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                file = _File(path)
            except FileNotFoundError:  # another process has just merged it
                continue
            except Exception as error:  # pyarrow has no one family for what a damaged file can do
                _log.debug("%s is damaged and removed: %s", path, error)
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            self._files.append((path, file))
            for row, ending in enumerate(file.endings):
                if ending in wanted:
                    self._where[ending[0]] = file, row

    def get(self, run_id: str) -> Kept | None:
        """What is kept of a run, or None."""
        found = self._where.get(run_id)
        return found[0].kept(found[1]) if found else None

    def add(self, runs: Iterable[tuple[Listed, Kept]]) -> None:
        """Keep more runs. A folder that cannot be written is passed over: the next reading is slower, not wrong."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write(self.folder, runs)
        except OSError as error:
            _log.debug("%s cannot be written: %s", self.folder, error)

    def merge(self) -> None:
        """When there are many, put one file in place of those that were read, with the latest ending of each run."""
        if len(self._files) < _FILES:
            return
        latest = {run_id: (file, row) for _, file in self._files for row, (run_id, _, _) in enumerate(file.endings)}
        runs = (
            (Listed(run_id, file.endings[row][1], 0, file.endings[row][2]), file.kept(row))
            for run_id, (file, row) in latest.items()
        )
        try:
            _write(self.folder, runs)
            for path, _ in self._files:
                path.unlink(missing_ok=True)
        except OSError as error:
            _log.debug("%s cannot be written: %s", self.folder, error)


class _File:
    """One Parquet file in memory: 8 bytes for a metric."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        found = pyarrow.parquet.read_table(path, page_checksum_verification=True, memory_map=False).combine_chunks()
        columns = {name: _chunk(found, name) for name in _COLUMNS}
        text = {name: columns[name].to_pylist() for name in ("run_id", "status", "end_time")}
        self.endings = list(zip(text["run_id"], text["status"], text["end_time"], strict=True))
        self._names = [tuple(json.loads(each)) for each in columns["names"].dictionary.to_pylist()]
        self._texts = [columns[name].dictionary.to_pylist() for name in ("params", "sketch")]
        codes = (columns[name].indices.to_numpy(zero_copy_only=False) for name in ("names", "params", "sketch"))
        self._codes = np.stack(list(codes), axis=1)
        self._offsets = columns["values"].offsets.to_numpy()
        self._values = columns["values"].values.to_numpy(zero_copy_only=False)
        sizes = np.array([len(names) for names in self._names], dtype=np.int64)
        if self.endings and not np.array_equal(np.diff(self._offsets), sizes[self._codes[:, 0]]):
            raise ValueError("keys and values do not belong together")

    def kept(self, row: int) -> Kept:
        name, param, sketch = self._codes[row].tolist()
        values = self._values[self._offsets[row] : self._offsets[row + 1]]
        return Kept(self._names[name], values, self._texts[0][param], self._texts[1][sketch])


def store_identity(uri: str) -> str:
    """A database's URI without its password, a file by its absolute path."""
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    if url.get_backend_name() == "sqlite" and url.database:
        return f"sqlite:{Path(url.database).resolve()}"
    return url.set(password=None, drivername=url.get_backend_name()).render_as_string()


def _default_folder() -> Path:
    root = os.environ.get("PREDICTOR_CACHE")
    base = Path(root) if root else Path.home() / ".cache" / "finetune-predictor"
    return base / "runs"


def _chunk(found: pyarrow.Table, name: str) -> pyarrow.Array:
    import pyarrow

    column = found.column(name)
    return column.chunk(0) if column.num_chunks else pyarrow.array([], type=column.type)


def _write(folder: Path, runs: Iterable[tuple[Listed, Kept]]) -> None:
    import pyarrow
    import pyarrow.parquet

    endings: list[tuple[str, str, int | None]] = []
    distinct: dict[str, dict[Any, int]] = {"names": {}, "params": {}, "sketch": {}}
    names, params, sketches = distinct.values()
    codes: list[tuple[int, int, int]] = []
    lengths, parts = [], []
    for run, kept in runs:
        endings.append((run.run_id, run.status, run.end_time))
        codes.append(
            (
                names.setdefault(kept.names, len(names)),
                params.setdefault(kept.params, len(params)),
                sketches.setdefault(kept.sketch, len(sketches)),
            )
        )
        parts.append(memoryview(kept.values))
        lengths.append(len(kept.values))
    if not endings:
        return
    run_ids, statuses, end_times = zip(*endings, strict=True)
    texts = {**distinct, "names": [json.dumps(names) for names in distinct["names"]]}
    columns = {
        "run_id": pyarrow.array(run_ids),
        "status": pyarrow.array(statuses),
        "end_time": pyarrow.array(end_times, pyarrow.int64()),
        "values": pyarrow.LargeListArray.from_arrays(np.cumsum([0, *lengths]), np.frombuffer(b"".join(parts))),
        **{
            name: pyarrow.DictionaryArray.from_arrays(pyarrow.array(column), list(texts[name]))
            for name, column in zip(distinct, np.array(codes, np.int32).T.copy(), strict=True)
        },
    }
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f"{time.time_ns():020d}-", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as handle:
            pyarrow.parquet.write_table(
                pyarrow.table(columns),
                handle,
                compression="none",  # measured numbers do not get shorter
                use_dictionary=["names", "params", "sketch", "status"],
                write_page_checksum=True,
            )
        os.replace(temporary, f"{temporary.removesuffix('.part')}.parquet")
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
