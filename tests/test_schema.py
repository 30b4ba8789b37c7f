from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.errors import SchemaError
from predictor.schema import RunRecord, decode, encode, keys
from predictor.schema.records import Records
from predictor.trial.config import finetune_config

FIXTURE = Path(__file__).parent / "fixtures" / "run_v1.json"

names = st.text("abcdefghij_", min_size=1, max_size=12)
numbers = st.dictionaries(names, st.floats(allow_nan=False, allow_infinity=False), max_size=4)
texts = st.text(max_size=20)
odd_texts = texts | st.sampled_from(["8", "-1", "1e-05", "0.5", "inf", "nan", "True", "False", '"', '"8"', "8.0"])
records = st.builds(
    RunRecord,
    kind=st.sampled_from([keys.KIND_FINETUNE, keys.KIND_PROBE]),
    complete=st.booleans(),
    task=texts,
    dataset=texts,
    family=texts,
    dataset_fingerprint=texts,
    row_sketch=st.lists(st.text("0123456789abcdef", min_size=10, max_size=10), max_size=5).map(tuple),
    base_model=texts,
    seed=st.integers(0, 2**31),
    method=st.sampled_from(["lora", "full"]),
    train_limit=st.none() | st.integers(0, 2**31),
    probe_steps=st.none() | st.integers(2, 99),
    hp=st.builds(
        lambda lr, r, scheduler, other: {"learning_rate": lr, "lora_r": r, "lr_scheduler": scheduler, "new_one": other},
        st.floats(1e-9, 10.0),
        st.integers(1, 512),
        odd_texts,
        st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), odd_texts),
    ),
    probe=numbers,
    scores=numbers,
    costs=numbers,
    failure=st.none() | st.text(min_size=1, max_size=30),
)


@given(records)
def test_decode_undoes_encode_exactly(record: RunRecord):
    encoded = encode(record)
    assert decode(encoded.params, encoded.metrics, encoded.tags) == record


@given(st.lists(records, max_size=6))
def test_columns_give_each_record_back(some: list[RunRecord]):
    some = [dataclasses.replace(each, run_id=f"run-{i}", start_time=i) for i, each in enumerate(some)]
    columns = Records.of(some)
    assert list(columns) == some
    assert [list(map(type, record.hp.values())) for record in columns] == [list(map(type, r.hp.values())) for r in some]
    assert list(columns[1:4]) == some[1:4]
    assert list(columns.take(np.arange(len(some))[::-1])) == some[::-1]
    assert Records.of(columns) is columns


def test_an_index_is_counted_as_in_a_list():
    columns = Records.of([RunRecord(run_id="a"), RunRecord(run_id="b")])
    assert columns[-1].run_id == "b"
    with pytest.raises(IndexError):
        columns[2]


def test_nan_survives_and_infinity_is_refused():
    encoded = encode(RunRecord(probe={"a": math.nan}))
    assert math.isnan(decode(encoded.params, encoded.metrics, encoded.tags).probe["a"])
    with pytest.raises(SchemaError, match=r"probe/a is inf[\s\S]*return NaN"):
        encode(RunRecord(probe={"a": math.inf}))


@pytest.mark.parametrize("version", [None, "0", "99"])
def test_another_schema_version_is_refused(version: str | None):
    tags = {} if version is None else {keys.TAG_SCHEMA: version}
    with pytest.raises(SchemaError, match=r"schema version (99|0|\(none\))[\s\S]*reads schema version 1"):
        decode({}, {}, tags, run_id="r1")


def test_a_run_of_version_1_stays_readable():
    saved = json.loads(FIXTURE.read_text())
    record = decode(saved["params"], saved["metrics"], saved["tags"], run_id="r", status="FINISHED")
    assert record.hp["learning_rate"] == 0.003
    assert record.hp["epochs"] == 2.0
    assert record.hp["lr_scheduler"] == "cosine"
    assert record.scores["exact_match"] == 0.1
    assert record.probe["dataset_size"] == 64.0
    assert len(record.row_sketch) == 2
    assert record.ineligible("score/exact_match") is None


def test_hyperparameters_of_a_record_are_the_fields_of_the_config():
    values = finetune_config(lora_r=4).hyperparameters.logged()
    assert values["lora_r"] == 4
    assert "seed" not in values
    assert "dataset" not in values


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kind": "probe"}, "kind is probe"),
        ({"status": "FAILED"}, "status is FAILED"),
        ({"status": "RUNNING"}, "status is RUNNING"),
        ({"complete": False}, "incomplete"),
        ({"scores": {}}, "has no score/exact_match"),
        ({"scores": {"exact_match": math.nan}}, "not finite"),
    ],
)
def test_only_finished_complete_finite_runs_may_teach(change: dict, reason: str):
    good = RunRecord(status="FINISHED", complete=True, scores={"exact_match": 0.5})
    assert good.ineligible("score/exact_match") is None
    assert reason in (dataclasses.replace(good, **change).ineligible("score/exact_match") or "")
