"""Scores of classes beside those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from predictor.metrics.classification import UNKNOWN, by_class, codes, confusion, macro, standard_errors

RNG = np.random.default_rng(0)
TRUTH, SAID = RNG.integers(0, 4, 200), RNG.integers(0, 4, 200)


def test_the_table_is_that_of_scikit_learn():
    matrix = confusion(TRUTH, SAID, 4)
    assert np.array_equal(matrix[:, :4], confusion_matrix(TRUTH, SAID))
    theirs = precision_recall_fscore_support(TRUTH, SAID, zero_division=0.0)
    assert by_class(matrix) == pytest.approx(np.stack(theirs, 1).astype(float))
    assert macro(matrix) == pytest.approx([float(np.mean(each)) for each in theirs[:3]])


def test_a_class_without_a_row_does_not_count_and_one_that_is_never_said_has_zero():
    truth, said = np.array([0, 0, 1]), np.array([0, 0, 0])
    matrix = confusion(truth, said, 3)
    assert by_class(matrix)[1, :3].tolist() == [0.0, 0.0, 0.0]
    assert macro(matrix)[2] == pytest.approx((0.8 + 0.0) / 2)
    assert np.isnan(macro(np.zeros((2, 3), dtype=int))).all()


def test_an_answer_that_names_no_class_stands_in_the_last_column():
    said = codes(["a", "?", "b"], ["a", "b"])
    assert said.tolist() == [0, UNKNOWN, 1]
    assert confusion(np.array([0, 0, 1]), said, 2).tolist() == [[1, 0, 1], [0, 1, 0]]


def test_standard_errors_are_those_of_repeated_draws():
    errors = standard_errors(TRUTH, SAID, 4, resamples=300)
    assert errors.shape == (4, 3)
    recall = by_class(confusion(TRUTH, SAID, 4))[:, 1]
    support = np.bincount(TRUTH)
    assert errors[:, 1] == pytest.approx(np.sqrt(recall * (1 - recall) / support), rel=0.25)
    assert np.isnan(standard_errors(np.array([0, 0, 1]), np.array([0, 1, 1]), 3, resamples=50)[2]).all()
