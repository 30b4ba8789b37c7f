"""Embedding features against direct computation, and what they read."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.data.example import Example
from predictor.errors import DataError
from predictor.probe import FEATURES, embed_features
from predictor.probe.embed import (
    Vectors,
    eval_nearest_similarity,
    eval_similarity,
    input_outlier_rate,
    input_output_similarity,
    input_output_similarity_std,
    output_semantic_diversity,
    output_vendi_score,
    semantic_consistency,
)
from predictor.tasks import TASKS
from tests.probe.builders import BAKER, CHINESE, HARBOUR, WordEncoder, row

QA = TASKS.get("qa")
E1, E2, E3 = np.eye(3)


def units(seed: int, count: int, dimensions: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, dimensions))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_values_worked_out_by_hand() -> None:
    diagonal = (E1 + E2) / math.sqrt(2)
    vectors = Vectors(inputs=np.stack([E1, E2]), outputs=np.stack([E1, diagonal]), evaluation=np.stack([E1, E3]))
    half = 1 / math.sqrt(2)
    assert output_semantic_diversity(vectors) == pytest.approx(1 - half)
    assert input_output_similarity(vectors) == pytest.approx((1 + half) / 2)
    assert input_output_similarity_std(vectors) == pytest.approx((1 - half) / 2)
    # Unmatched pairs: input 1 with output 2 has cosine 1/√2, input 2 with output 1 has 0.
    assert semantic_consistency(vectors) == pytest.approx((1 + half) / 2 - half / 2)
    assert eval_nearest_similarity(vectors) == pytest.approx((1 + 0) / 2)
    assert eval_similarity(vectors) == pytest.approx(0.5)  # (1,1,0)/2 and (1,0,1)/2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.sampled_from([3, 16, 50]))
def test_shortcuts_equal_the_definitions(seed: int, count: int, dimensions: int) -> None:
    vectors = Vectors(inputs=units(seed, count, dimensions), outputs=units(seed + 1, count, dimensions))
    gram = vectors.outputs @ vectors.outputs.T
    off = ~np.eye(count, dtype=bool)
    assert output_semantic_diversity(vectors) == pytest.approx(1 - gram[off].mean())
    cross = vectors.inputs @ vectors.outputs.T
    assert semantic_consistency(vectors) == pytest.approx(np.diag(cross).mean() - cross[off].mean())
    eigenvalues = np.linalg.eigvalsh(gram / count)
    eigenvalues = eigenvalues[eigenvalues > 1e-12]
    assert output_vendi_score(vectors) == pytest.approx(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()))
    assert 1 - 1e-9 <= output_vendi_score(vectors) <= count + 1e-9


def test_vendi_counts_distinct_orthogonal_rows() -> None:
    three = np.stack([E1, E2, E3] * 4)
    assert output_vendi_score(Vectors(three, three)) == pytest.approx(3.0)
    assert output_vendi_score(Vectors(three[:1], three[:1])) == pytest.approx(1.0)


def test_outliers_are_found_among_scattered_and_among_identical_rows() -> None:
    crowd = units(0, 99, 8) * 0.05 + np.eye(8)[0]
    crowd /= np.linalg.norm(crowd, axis=1, keepdims=True)
    stranger = np.eye(8)[5:6]
    assert input_outlier_rate(Vectors(np.concatenate([crowd, stranger]), crowd)) >= 0.01
    same = np.repeat(np.eye(8)[:1], 99, axis=0)
    assert input_outlier_rate(Vectors(np.concatenate([same, stranger]), same)) == 0.01
    assert input_outlier_rate(Vectors(same, same)) == 0.0


def test_shuffled_answers_lower_the_consistency() -> None:
    names = ["mira", "otto", "lena", "hugo", "ida", "nils"]
    good = [row(f"{n} bakes", f"who is {n}", n) for n in names]
    broken = [row(f"{n} bakes", f"who is {n}", m) for n, m in zip(names, names[1:] + names[:1], strict=True)]
    encoder = WordEncoder()
    assert (
        embed_features(good, QA, encoder)["semantic_consistency"]
        > 0.2
        > embed_features(broken, QA, encoder)["semantic_consistency"]
    )


def test_evaluation_answers_are_never_read() -> None:
    encoder = WordEncoder()
    first = embed_features([HARBOUR, BAKER], QA, encoder, [CHINESE])
    hidden = replace(CHINESE, answers=("something else",))
    assert embed_features([HARBOUR, BAKER], QA, encoder, [hidden]) == first
    assert "北京大学" not in encoder.seen


def test_question_comes_before_the_passage() -> None:
    encoder = WordEncoder()
    embed_features([HARBOUR], QA, encoder)
    assert encoder.seen[0].startswith("When did the harbour open?")


def test_rows_are_capped_and_always_the_same() -> None:
    rows = [row(f"c{i}", f"q{i}", f"a{i}") for i in range(50)]
    encoder = WordEncoder()
    first = embed_features(rows, QA, encoder, rows=7)
    assert len(encoder.seen) == 14
    assert embed_features(rows, QA, encoder, rows=7) == first


@pytest.mark.parametrize("rows", [[HARBOUR], [HARBOUR] * 9, [CHINESE, BAKER], [Example("1", ("",))]])
def test_odd_datasets_give_finite_numbers_or_documented_nan(rows: list[Example]) -> None:
    features = embed_features(rows, QA, WordEncoder())
    assert set(features) == {name for name, entry in FEATURES if entry.tier == "embed" and not entry.kind}
    for name, value in features.items():
        assert math.isfinite(value) or (math.isnan(value) and FEATURES.get(name).nan), name


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows to probe"):
        embed_features([], QA, WordEncoder())
