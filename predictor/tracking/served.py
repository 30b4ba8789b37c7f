"""The runs of a server, with a local copy of those that have ended, so that only what has changed is asked for.

MLflow's search has no list of runs without their values, so a copy cannot be compared with it run by run. What can be
asked for cheaply is what may have changed since the copy was made:

- runs that started since, that had not ended, that run again, that ended anew, and those that were evaluated, whose
  scores are written afterwards: all of these are read in full;
- deleted runs, which are taken out;
- how many older runs there are, and which one stands at nine places of their order: a run that came back, was purged,
  or was written with an old start time moves the others. Where the answers are not those of the copy, all is read.

Not noticed is what a client changes of a run that has ended without ending it anew: a tag, a metric, a param. Therefore
a copy is used for a day at most. Deleting it is always safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException

from predictor.cache import cache_folder
from predictor.files import whole_file
from predictor.schema import keys
from predictor.schema.coded import Coded
from predictor.schema.measured import Collected, Metrics
from predictor.schema.records import Records
from predictor.tracking import windows
from predictor.tracking.cache import ENDED
from predictor.tracking.one import record_of
from predictor.tracking.parquet import chunk, to_bytes, to_coded, to_dictionary, to_doubles
from predictor.tracking.selection import Selection
from predictor.tracking.store import store_identity

WORTH = 200
"""Fewer runs than this are not copied: they are one answer of the server."""
OLDEST_S = 24 * 3600.0
"""Seconds after which everything is read again."""
_OVERLAP_MS = 600_000
"""Clocks of the machines that end runs may differ by so much."""
_PLACES = 8
_IDS = 100
"""Run ids in one question."""
_FORMAT = 1
_ABOUT = b"predictor"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """What was known when a copy was made; times in milliseconds since the epoch.

    Attributes:
        boundary: the latest start of any run.
        ended: the latest end of any run.
        open: ids of the runs that had not ended, which are not in the copy.
        read_at: seconds since the epoch when everything was read.
    """

    boundary: int
    ended: int
    open: Sequence[str]
    read_at: float


@dataclass(frozen=True)
class Copy:
    """Runs that have ended, as JSON texts and metrics by column."""

    state: State
    run_ids: list[str]
    start_times: np.ndarray
    texts: Mapping[str, Coded]
    metrics: Metrics

    def take(self, rows: np.ndarray) -> Copy:
        """The runs at these rows."""
        texts = {name: column.take(rows) for name, column in self.texts.items()}
        run_ids = [self.run_ids[row] for row in rows.tolist()]
        return Copy(self.state, run_ids, self.start_times[rows], texts, self.metrics.take(rows))

    def records(self) -> Records:
        """The runs as records."""
        columns = {name: column.map(json.loads) for name, column in self.texts.items()}
        return Records(self.run_ids, self.start_times, columns, self.metrics)


def keeps(selection: Selection) -> bool:
    """Whether there are copies of such a selection."""
    return bool(selection.experiments and selection.kind) and selection.parent is None


def read(uri: str, client: MlflowClient, selection: Selection) -> Records:
    """The selected runs, oldest first, ties by run id.

    Raises:
        MlflowException: the server does not answer. SchemaError: a run was written under a schema version that this
            package does not know.
    """
    path = _path(uri, selection)
    copy = _load(path)
    if copy is not None and 0 <= time.time() - copy.state.read_at < OLDEST_S:
        found = _changes(client, selection, copy)
        if found is not None:
            return _kept(path, copy, found, copy.state.read_at)
    started = time.time()
    return _kept(path, None, {run.info.run_id: run for run in windows.search(client, selection)}, started)


def _changes(client: MlflowClient, selection: Selection, copy: Copy) -> dict[str, Run | None] | None:
    """Runs that may have changed, None for one that is deleted; or None when the copy cannot be mended."""
    state = copy.state
    older = f"attributes.start_time < {state.boundary}"
    found: dict[str, Run | None] = {}
    deleted = windows.search(client, selection, further=older, view=ViewType.DELETED_ONLY)
    found.update((run.info.run_id, None) for run in deleted)
    questions: list[dict[str, Any]] = [
        {"since": state.boundary},
        {"further": f"{older} AND attributes.status = 'RUNNING'"},
        {"further": f"{older} AND attributes.end_time >= {state.ended - _OVERLAP_MS}"},
        {"further": f"{older} AND tags.`{keys.TAG_EVALUATED}` LIKE '%'"},
    ]
    for start in range(0, len(state.open), _IDS):
        listed = ", ".join(f"'{run_id}'" for run_id in state.open[start : start + _IDS])
        questions.append({"further": f"attributes.run_id IN ({listed})"})
    for question in questions:
        found.update((run.info.run_id, run) for run in windows.search(client, selection, **question))
    # One that stands in the copy at the boundary and not in the answer is gone.
    at_boundary = np.flatnonzero(copy.start_times >= state.boundary)
    found.update((copy.run_ids[row], None) for row in at_boundary.tolist() if copy.run_ids[row] not in found)
    before = [(int(start), run_id) for run_id, start in zip(copy.run_ids, copy.start_times, strict=True)]
    known = sorted(
        [each for each in before if each[0] < state.boundary and each[1] not in found]
        + [(r.info.start_time, run_id) for run_id, r in found.items() if r and r.info.start_time < state.boundary]
    )
    return found if _stand(client, selection, older, [run_id for _, run_id in known]) else None


def _stand(client: MlflowClient, selection: Selection, older: str, expected: Sequence[str]) -> bool:
    """Whether these are, as far as can be seen, the older runs of the server, in the order of their start."""
    from mlflow.utils.search_utils import SearchUtils

    places = sorted({len(expected) * k // _PLACES - 1 for k in range(1, _PLACES + 1)} | {0}) if expected else [0]
    for place in places:
        if place < 0:
            continue
        try:
            found = client.search_runs(
                list(selection.experiments),
                filter_string=f"{selection.filters[0]} AND {older}",
                run_view_type=ViewType.ACTIVE_ONLY,
                max_results=2,
                order_by=["attributes.start_time ASC"],
                page_token=SearchUtils.create_page_token(place).decode() if place else None,
            )
        except MlflowException as error:  # a store whose tokens are no offsets
            _log.debug("the order of the runs cannot be asked for: %s", error)
            return False
        if [run.info.run_id for run in found] != list(expected[place : place + 2]):
            return False
    return True


def _kept(path: Path, copy: Copy | None, found: Mapping[str, Run | None], read_at: float) -> Records:
    """The records of a copy with what was found in place of its own; copied when enough of it is new."""
    fresh = [run for run in found.values() if run is not None]
    ended = [run for run in fresh if run.info.status in ENDED]
    state = State(
        max([copy.state.boundary if copy else 0, *(run.info.start_time for run in fresh)]),
        max([copy.state.ended if copy else 0, *(run.info.end_time or 0 for run in ended)]),
        [run.info.run_id for run in fresh if run.info.status not in ENDED],
        read_at,
    )
    together = _joined(state, copy, found, fresh)
    if len(ended) >= WORTH:
        open_ids = set(state.open)
        closed = [row for row, run_id in enumerate(together.run_ids) if run_id not in open_ids]
        _save(path, together.take(np.array(closed, dtype=np.int64)))
    return together.records()


def _joined(state: State, copy: Copy | None, found: Mapping[str, Run | None], fresh: Iterable[Run]) -> Copy:
    new = Records.of([record_of(run) for run in fresh])
    parts = [Copy(state, list(new.run_ids), new.start_times, _texts(new), new.metrics)]
    if copy is not None:
        old = [row for row, run_id in enumerate(copy.run_ids) if run_id not in found]
        parts.insert(0, copy.take(np.array(old, dtype=np.int64)))
    collected = Collected()
    for part in parts:
        collected.add(part.metrics)
    run_ids = [run_id for part in parts for run_id in part.run_ids]
    start_times = np.concatenate([part.start_times for part in parts])
    texts = {name: Coded.concat(part.texts[name] for part in parts) for name in parts[-1].texts}
    order = np.lexsort((np.array(run_ids, dtype=str), start_times))
    return Copy(state, run_ids, start_times, texts, collected.metrics()).take(order)


def _texts(records: Records) -> dict[str, Coded]:
    return {name: column.map(lambda value: json.dumps(value)) for name, column in records.columns.items()}


def _path(uri: str, selection: Selection) -> Path:
    text = json.dumps(
        [_FORMAT, keys.SCHEMA_VERSION, store_identity(uri), selection.kind, sorted(selection.experiments)]
    )
    return cache_folder() / "runs" / f"server-{hashlib.sha256(text.encode()).hexdigest()[:16]}.parquet"


def _load(path: Path) -> Copy | None:
    """The copy; None when there is none, or it is damaged, which is then removed."""
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, page_checksum_verification=True).combine_chunks()
        about = json.loads(table.schema.metadata[_ABOUT])
        names = to_coded(chunk(table, "names")).map(lambda text: tuple(json.loads(text)))
        starts, values = to_doubles(chunk(table, "values"))
        sizes = np.array([len(each) for each in names.distinct], dtype=np.int64)[names.codes]
        if not np.array_equal(np.diff(starts), sizes):
            raise ValueError("keys and values do not belong together")
        texts = {name: to_coded(chunk(table, name)) for name in about.pop("texts")}
        run_ids, times = table.column("run_id").to_pylist(), table.column("start_time").to_numpy()
        return Copy(State(**about), run_ids, times, texts, Metrics(names, starts[:-1], values))
    except FileNotFoundError:
        return None
    except Exception as error:  # pyarrow has no one family for what a damaged file can do
        _log.debug("%s is damaged and removed: %s", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def _save(path: Path, copy: Copy) -> None:
    """Put a copy in place; a folder that cannot be written is passed over: the next reading is slower, not wrong."""
    import pyarrow.parquet

    # Run after run, without the values of those that were left out.
    values = np.concatenate([np.empty(0), *(copy.metrics.run(row) for row in range(len(copy.run_ids)))])
    sizes = [len(names) for names in copy.metrics.names]
    state = vars(copy.state) | {"texts": list(copy.texts)}
    columns = {
        "run_id": pyarrow.array(copy.run_ids, pyarrow.string()),
        "start_time": pyarrow.array(copy.start_times),
        "names": to_dictionary(copy.metrics.names.used().map(json.dumps)),
        "values": to_bytes(np.cumsum([0, *sizes]), values),
        **{name: to_dictionary(column.used()) for name, column in copy.texts.items()},
    }
    table = pyarrow.table(columns).replace_schema_metadata({_ABOUT: json.dumps(state)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with whole_file(path, "wb") as file:
            pyarrow.parquet.write_table(table, file, compression="none", write_page_checksum=True)
    except OSError as error:
        _log.debug("%s cannot be written: %s", path, error)
