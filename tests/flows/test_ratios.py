"""Shares of a dataset on a tiny base: one run each, kept when they are asked for again, and a curve through them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmarks.tiny import qa_rows, write_squad
from predictor.config import from_values
from predictor.errors import ConfigError
from predictor.flows.ratios import RatiosConfig, ratios
from predictor.schema import keys
from predictor.tracking import read_records

pytestmark = pytest.mark.usefixtures("one_thread")


def test_each_share_is_a_run_that_is_not_made_twice(tiny_base: Path, tmp_path: Path, store: str):
    values = {
        "dataset": str(write_squad(tmp_path / "train.json", qa_rows(16))),
        "eval_dataset": str(write_squad(tmp_path / "eval.json", qa_rows(8, start=100))),
        "base_model": str(tiny_base), "batch_size": 8, "epochs": 1, "tiers": "static", "dev_limit": 0,
        "ratios": "0.5,1", "seeds": "1",
    }  # fmt: skip
    config = from_values(RatiosConfig, values)
    first = ratios(config, experiment="e")
    assert [(p.ratio, p.rows, p.seeds) for p in first.curve.points] == [(0.5, 8, 1), (1.0, 16, 1)]
    again = ratios(config, experiment="e")
    assert again.curve.to_json() == first.curve.to_json()
    records = read_records(["e"])
    assert len(records) == 2
    assert set(records[0].row_sketch) < set(records[1].row_sketch)
    client = MlflowClient()
    run = client.get_run(first.run_id)
    assert run.data.tags[keys.TAG_KIND] == keys.KIND_RATIOS
    assert run.data.metrics["ratios/score_1"] == records[1].scores["exact_match"]
    assert {a.path for a in client.list_artifacts(first.run_id)} == {"config.json", "ratios.json", "ratios.png"}
    told = json.loads(Path(client.download_artifacts(first.run_id, "ratios.json")).read_text())
    assert [point["rows"] for point in told["points"]] == [8, 16]
    assert told["foretold"] is None  # one smaller share has no law
    with pytest.raises(ConfigError, match="the ratio '2' is out of range"):
        ratios(config.replace(ratios="1,2"), experiment="e")
