"""Row hashes of large datasets: written with the run, read when groups are made."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from benchmarks.synthetic_runs import record
from predictor.data import Dataset, Example
from predictor.data.fingerprint import Fingerprint
from predictor.data.row_hashes import FILE, write_row_hashes
from predictor.errors import TrackingError
from predictor.schema import keys
from predictor.table import build
from predictor.tracking import read_records, tracked_run
from predictor.tracking.row_hashes import read_row_hashes
from predictor.trial.config import finetune_config
from predictor.trial.trial import Trial
from tests.data.samples import write


def _dataset(numbers: list[int]) -> Dataset:
    made = Fingerprint()
    for number in numbers:
        made.add(Example(id=str(number), question=f"question {number}", answers=("x",)))
    return Dataset((), "made", "squad", "", made.digest, made.sketch, row_hashes=made.row_hashes)


def _run(store: str, name: str, dataset: Dataset, score: float, kept: bool = True) -> str:
    with tracked_run(keys.KIND_FINETUNE, experiment="e", tracking_uri=store) as run:
        if kept and len(dataset.row_hashes):
            write_row_hashes(run.artifacts / FILE, dataset.row_hashes)
        run.finish_record(
            record(
                run_id="",
                dataset=name,
                dataset_fingerprint=dataset.fingerprint,
                row_sketch=dataset.row_sketch,
                scores={"exact_match": score, "n": 100.0},
            )
        )
        return run.run_id


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PREDICTOR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "row_hashes"


PARENT = list(range(60_000))


def test_a_small_part_of_a_large_dataset_is_in_its_group(store: str, cache: Path) -> None:
    parent = _dataset(PARENT)
    hidden = [n for n in PARENT[:200] if _dataset([n]).row_sketch[0] > parent.row_sketch[-1]]
    part = _dataset(hidden[:64])
    assert not set(parent.row_sketch) & set(part.row_sketch), "the tags alone must not show it"
    _run(store, "parent", parent, 0.5)
    _run(store, "part", part, 0.6)
    for k in range(8):
        _run(store, f"other {k}", _dataset([100_000 + 10 * k, 100_001 + 10 * k]), 0.1 * k)
    records = read_records(tracking_uri=store)
    hashes, without = read_row_hashes(records, store)
    assert without == []
    assert [len(each) for each in hashes.values()] == [len(parent.row_hashes)]
    groups = dict(zip([each.dataset for each in records], build(records, row_hashes=hashes).group, strict=True))
    assert groups["parent"] == groups["part"]
    assert len(set(groups.values())) == 9
    apart = dict(zip([each.dataset for each in records], build(records).group, strict=True))
    assert apart["parent"] != apart["part"]


def test_the_file_is_read_from_the_store_once(store: str, cache: Path) -> None:
    parent = _dataset(PARENT[:8000])
    run_id = _run(store, "parent", parent, 0.5)
    records = read_records(tracking_uri=store)
    first, _ = read_row_hashes(records, store)
    assert len(list(cache.iterdir())) == 1
    shutil.rmtree(_artifacts(store, run_id))
    again, without = read_row_hashes(records, store)
    np.testing.assert_array_equal(*(next(iter(each.values())) for each in (first, again)))
    assert without == []
    next(cache.iterdir()).write_bytes(b"damaged")
    assert read_row_hashes(records, store) == ({}, ["parent"])


def test_runs_of_an_earlier_version_are_named(store: str, cache: Path) -> None:
    parent = _dataset(PARENT[:8000])
    _run(store, "parent", parent, 0.5, kept=False)
    assert read_row_hashes(read_records(tracking_uri=store), store) == ({}, ["parent"])
    _run(store, "parent", parent, 0.5)
    assert list(read_row_hashes(read_records(tracking_uri=store), store)[0]) == ["".join(parent.row_sketch)]


def test_a_small_dataset_has_no_file_and_none_is_looked_for(store: str, cache: Path) -> None:
    run_id = _run(store, "small", _dataset(PARENT[:2000]), 0.5)
    assert MlflowClient(store).list_artifacts(run_id) == []
    assert read_row_hashes(read_records(tracking_uri=store), "nonsense://") == ({}, [])


def test_a_damaged_file_is_an_error(store: str, cache: Path) -> None:
    run_id = _run(store, "parent", _dataset(PARENT[:8000]), 0.5)
    (_artifacts(store, run_id) / FILE).write_bytes(b"no parquet")
    with pytest.raises(TrackingError, match="the row hashes of a dataset cannot be read") as caught:
        read_row_hashes(read_records(tracking_uri=store), store)
    assert run_id in str(caught.value)


def test_the_opening_of_a_run_keeps_them(store: str, tmp_path: Path) -> None:
    rows = [
        {"context": f"It rained {n} mm.", "question": f"How much rain fell on day {n}?", "answers": [f"{n} mm"]}
        for n in range(8000)
    ]
    large = write(tmp_path / "large.jsonl", rows)
    config = finetune_config(dataset=str(large), eval_dataset=str(write(tmp_path / "eval.jsonl", rows[:50])))
    with tracked_run(keys.KIND_FINETUNE, experiment="e", tracking_uri=store) as run:
        trial = Trial(config)
        trial.announce(keys.KIND_FINETUNE, run)
        assert (run.artifacts / FILE).is_file()
        assert len(trial.materials.dataset.row_hashes) > 512
        run.finish()


def _artifacts(store: str, run_id: str) -> Path:
    return Path(MlflowClient(store).get_run(run_id).info.artifact_uri.removeprefix("file://"))
