from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from predictor.errors import TableError
from predictor.table import FeatureSchema, as_frame

TRAINING = pd.DataFrame(
    {"hp/r": [8, 16], "hp/modules": ["a,b", "all"], "probe/x": [0.5, np.nan], "hp/flag": [True, False]}
)


def test_text_is_a_category_and_everything_else_a_number() -> None:
    schema = FeatureSchema.of(TRAINING)
    assert [column.kind for column in schema.columns] == ["number", "category", "number", "number"]
    assert schema.columns[1].categories == ("a,b", "all")
    assert schema.categorical == (1,)
    np.testing.assert_array_equal(schema.matrix(TRAINING), [[8, 0, 0.5, 1], [16, 1, np.nan, 0]])


def test_serving_rows_in_any_shape_give_the_training_matrix() -> None:
    schema = FeatureSchema.of(TRAINING)
    expected = schema.matrix(TRAINING)
    shuffled = TRAINING[["probe/x", "hp/flag", "hp/modules", "hp/r"]].assign(extra=1)
    np.testing.assert_array_equal(schema.matrix(shuffled), expected)
    np.testing.assert_array_equal(schema.matrix(as_frame(TRAINING.to_dict("records"))), expected)
    restored = FeatureSchema.from_json(schema.to_json())
    assert restored == schema
    assert restored.digest == schema.digest
    np.testing.assert_array_equal(restored.matrix(TRAINING), expected)


def test_missing_columns_unknown_text_and_infinity_become_nan() -> None:
    schema = FeatureSchema.of(TRAINING)
    matrix = schema.matrix(as_frame([{"hp/r": float("inf"), "hp/modules": "never seen"}, {"hp/modules": None}]))
    assert np.isnan(matrix).all()
    assert schema.unseen_text(as_frame([{"hp/modules": "never seen"}, {"hp/modules": "all"}])) == [["hp/modules"], []]


def test_a_number_and_its_text_are_the_same_category() -> None:
    schema = FeatureSchema.of(pd.DataFrame({"hp/x": ["a", 1, 2.0]}))
    assert schema.columns[0].categories == ("1", "2", "a")
    assert schema.matrix(as_frame([{"hp/x": 1.0}, {"hp/x": "2"}])).ravel().tolist() == [0.0, 1.0]


def test_text_in_a_number_column_is_named() -> None:
    with pytest.raises(TableError, match="'many' is not a number") as caught:
        FeatureSchema.of(TRAINING).matrix(as_frame([{"hp/r": "many"}]))
    assert "column hp/r" in str(caught.value)


def test_the_frame_shows_categories() -> None:
    frame = FeatureSchema.of(TRAINING).frame(as_frame([{"hp/modules": "all"}, {"hp/modules": "new"}]))
    assert frame["hp/modules"].tolist()[0] == "all"
    assert pd.isna(frame["hp/modules"][1])
