"""Where a dataset comes from: files, folders, saved datasets, manifests and the hub."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from predictor.data import hub, load
from predictor.data.stream import open_stream
from predictor.errors import DataError
from tests.data.samples import ROWS, write

ROWS_C = ROWS["classification"]


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ROWS_C)
    with pytest.raises(DataError, match="the file does not exist") as caught:
        load(tmp_path / "trian.jsonl")
    assert f"did you mean '{tmp_path / 'train.jsonl'}'?" in str(caught.value)
    with pytest.raises(DataError, match="does not exist") as caught:
        load(tmp_path / "nowhere" / "train.jsonl")
    assert "does not exist either" in str(caught.value)


@pytest.mark.parametrize(
    "layout", ["data/train.json data/dev.json data/test.json", "a_train.jsonl a_dev.jsonl a_test.jsonl"]
)
def test_folder_with_splits_gives_its_training_rows(tmp_path: Path, layout: str) -> None:
    train, dev, test = layout.split()
    write(tmp_path / train, ROWS_C[:9])
    write(tmp_path / dev, ROWS_C[9:12])
    write(tmp_path / test, ROWS_C[12:14])
    dataset = load(tmp_path)
    assert dataset.rows == 9
    assert dataset.notes == ("only the train split was read; the source also holds validation, test",)
    assert sum(1 for _ in open_stream(tmp_path, split="test")) == 2


def test_parquet_shards_are_read_in_order(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for shard in (1, 0):
        table = pa.Table.from_pylist(ROWS_C[shard * 15 : shard * 15 + 15])
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "data" / f"train-{shard:05}-of-00002.parquet")
    dataset = load(tmp_path)
    assert [example.text for example in dataset.examples] == [row["text"] for row in ROWS_C]
    assert [example.id for example in dataset.examples][-1] == "30"


def test_datasets_saved_by_the_library(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "fair", "good"])}
    )
    whole = datasets.Dataset.from_list(ROWS_C, features=features)
    whole.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": whole.select(range(20)), "test": whole.select(range(20, 30))}).save_to_disk(
        tmp_path / "two"
    )
    whole.to_parquet(tmp_path / "three.parquet")
    assert [example.label for example in load(tmp_path / "one").examples[:3]] == ["bad", "fair", "good"]
    assert load(tmp_path / "two").rows == 20
    assert load(tmp_path / "three.parquet").examples[1].label == "fair"


def test_values_that_json_lacks_become_their_nearest(tmp_path: Path) -> None:
    import datetime

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"text": "fine", "label": 1, "weight": float("nan"), "when": datetime.date(2020, 1, 2), "raw": b"abc"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    assert load(tmp_path / "x.parquet").examples[0].extra == {"weight": None, "when": "2020-01-02", "raw": "(3 bytes)"}


def test_manifest_names_files_inside_its_folder_only(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder / "a.jsonl", ROWS_C)
    secret = write(tmp_path / "secret.jsonl", ROWS_C)
    write(folder / "manifest.json", {"train": ["a.jsonl"]})
    assert load(folder).rows == 30
    (folder / "link.jsonl").symlink_to(secret)
    for path in ("../secret.jsonl", str(secret), "link.jsonl"):
        write(folder / "manifest.json", {"train": [path]})
        with pytest.raises(DataError, match="names a path outside its folder"):
            load(folder)
    write(folder / "manifest.json", {"trian": ["a.jsonl"]})
    with pytest.raises(DataError, match="'trian' is not a list of files of a split"):
        load(folder)
    write(folder / "manifest.json", "{")
    with pytest.raises(DataError, match="the file cannot be read"):
        load(folder)


def test_saved_dataset_whose_state_leads_outside(tmp_path: Path) -> None:
    write(tmp_path / "out.arrow", b"x")
    write(tmp_path / "set" / "state.json", json.dumps({"_data_files": [{"filename": "../out.arrow"}]}))
    with pytest.raises(DataError, match="names a path outside its folder"):
        load(tmp_path / "set")
    write(tmp_path / "set" / "state.json", "{}")
    with pytest.raises(DataError, match="the manifest lists no data files"):
        load(tmp_path / "set")


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train.jsonl", ROWS_C)
    with pytest.raises(DataError, match="has no test split"):
        open_stream(tmp_path, split="test")


def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="the hub cannot be reached at http"):
        load("someone/some-dataset")


def test_hub_dataset_that_was_never_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="'someone/some-dataset' cannot be loaded"):
        load("someone/some-dataset")


def test_hub_dataset_is_read_by_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    parts = {"train": datasets.Dataset.from_list(ROWS_C[:20]), "test": datasets.Dataset.from_list(ROWS_C[20:])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    asked: list[str] = []

    def load_dataset(name: str) -> datasets.DatasetDict:
        asked.append(name)
        return datasets.load_from_disk(tmp_path / "saved")

    monkeypatch.setattr(hub, "_answers", lambda endpoint: True)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    dataset = load("someone/some-dataset")
    assert (asked, dataset.rows) == (["someone/some-dataset"], 20)
