from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictor.runs import runs_path
from predictor.schema.archive import read_archive
from predictor.table import FeatureSchema, build
from predictor.table.planned import STEPS, TOTAL_UPDATE, planned

ROW = {
    "hp/epochs": 3.0, "hp/batch_size": 16, "hp/max_steps": 0, "hp/learning_rate": 1e-3,
    "hp/lora_alpha": 32, "hp/lora_r": 8, "probe/dataset_size": 100.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "steps", "update"),
    [
        ({}, 21.0, 0.084),
        ({"hp/epochs": 1.5}, 11.0, 0.044),
        ({"hp/max_steps": 5}, 5.0, 0.02),
        ({"hp/lora_alpha": None, "hp/lora_r": None}, 21.0, 0.021),
        ({"probe/dataset_size": None}, np.nan, np.nan),
        ({"probe/dataset_size": None, "hp/max_steps": 5}, 5.0, 0.02),
    ],
)
def test_steps_and_how_far_the_weights_can_go(change: dict[str, object], steps: float, update: float) -> None:
    rows = pd.DataFrame([{**ROW, **change}])
    np.testing.assert_allclose(planned(STEPS, rows), [steps])
    np.testing.assert_allclose(planned(TOTAL_UPDATE, rows), [update])


def test_columns_that_are_missing_are_not_known() -> None:
    assert np.isnan(planned(STEPS, pd.DataFrame({"hp/epochs": [1.0, 2.0]}))).all()


def test_they_are_the_steps_that_the_packages_runs_took_and_the_same_in_serving() -> None:
    runs = [record for record in read_archive(runs_path()).records if record.seed == 1]
    table = build(runs)
    took = {record.config_hash: record.costs["train_steps"] for record in runs}
    assert sorted(table.rows[STEPS]) == sorted(took.values())
    served = table.rows.drop(columns=[STEPS, TOTAL_UPDATE])
    np.testing.assert_array_equal(table.schema.matrix(served), table.matrix)


def test_a_table_that_does_not_tell_them_has_no_such_columns() -> None:
    schema = FeatureSchema.of(pd.DataFrame({"hp/epochs": [1.0]}))
    assert schema.names == ("hp/epochs",)
