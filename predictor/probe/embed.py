"""The second tier: what the meaning of the texts says, through a sentence encoder.

All features are computed from unit vectors of a sample of rows. Sums over all pairs use
‖Σe‖² = Σᵢ Σⱼ eᵢ·eⱼ, which costs O(n·d) and not O(n²·d).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from predictor.data.example import Example
from predictor.errors import DataError
from predictor.probe.feature import feature, measure
from predictor.probe.sample import sample
from predictor.probe.texts import prompt_text
from predictor.tasks import Task

ROWS = 128
"""Rows of each dataset that are encoded; at 64 word pieces a text this is about four seconds of one core."""

_ONE_ROW = "fewer than two rows"
_NO_EVAL = "no evaluation prompts were given"
_VENDI = "Friedman and Dieng 2023, The Vendi Score, with the cosine kernel"
_TUNEAHEAD = "TuneAhead (arXiv 2606.17660), static features"


class TextEncoder(Protocol):
    """Whatever turns texts into unit vectors."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, shape (texts, dimensions)."""
        ...


@dataclass(frozen=True)
class Vectors:
    """Unit vectors of a sample of rows.

    Attributes:
        inputs, outputs: of the prompts and of the answers, shape (rows, dimensions), in the same order.
        evaluation: of the evaluation's prompts, shape (questions, dimensions); None when there are none.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    evaluation: np.ndarray | None = None


def embed_features(
    examples: Sequence[Example],
    task: Task,
    encoder: TextEncoder,
    eval_examples: Sequence[Example] = (),
    rows: int = ROWS,
) -> dict[str, float]:
    """The features of tier `embed` by name; NaN where a feature does not exist for these rows.

    Args:
        examples: the training rows.
        task: says what the prompt and the answer of a row are.
        encoder: texts to unit vectors.
        eval_examples: questions of the evaluation; their answers are not read.
        rows: at most so many rows of each are encoded, the same ones every time.

    Raises:
        DataError: no rows. ModelError: the encoder cannot be loaded.
    """
    if not examples:
        raise DataError("the dataset has no rows to probe", rule="at least one row", fix="check the dataset's report")
    chosen = sample(examples, rows)
    questions = sample(eval_examples, rows)
    vectors = Vectors(
        inputs=encoder.encode([_input(example, task) for example in chosen]).astype(float),
        outputs=encoder.encode([task.target(example) for example in chosen]).astype(float),
        evaluation=encoder.encode([_input(e, task) for e in questions]).astype(float) if questions else None,
    )
    return measure("embed", vectors)


def _input(example: Example, task: Task) -> str:
    """The prompt with the question first: an encoder reads only so many tokens, and a passage would crowd it out."""
    if example.question and example.context:
        return f"{example.question}\n{example.context}"
    return prompt_text(example, task)


@feature(
    tier="embed",
    unit="1 − cosine",
    meaning="how different the answers are from each other in meaning",
    source="mean pairwise cosine distance, Tevet and Berant 2021, Evaluating the Evaluation of Diversity",
    nan=_ONE_ROW,
    rough=True,
)
def output_semantic_diversity(vectors: Vectors) -> float:
    return 1.0 - _mean_pairwise_cosine(vectors.outputs)


@feature(
    tier="embed",
    unit="1 − cosine",
    meaning="how different the prompts are from each other in meaning",
    source="mean pairwise cosine distance, Tevet and Berant 2021, Evaluating the Evaluation of Diversity",
    nan=_ONE_ROW,
)
def input_semantic_diversity(vectors: Vectors) -> float:
    return 1.0 - _mean_pairwise_cosine(vectors.inputs)


@feature(
    tier="embed",
    unit="cosine",
    meaning="how close the answers are to their prompts in meaning",
    source=_TUNEAHEAD,
    rough=True,
)
def input_output_similarity(vectors: Vectors) -> float:
    """Mean over rows of the cosine of prompt and answer."""
    return float(_row_cosines(vectors).mean())


@feature(
    tier="embed",
    unit="cosine",
    meaning="how unevenly close the answers are to their prompts in meaning",
    source=_TUNEAHEAD,
)
def input_output_similarity_std(vectors: Vectors) -> float:
    """Population standard deviation over rows of the cosine of prompt and answer."""
    return float(_row_cosines(vectors).std())


@feature(
    tier="embed",
    unit="cosine",
    meaning="how much closer an answer is to its own prompt than to the others",
    source="definition of this project: matched against unmatched pairs",
    nan=_ONE_ROW,
)
def semantic_consistency(vectors: Vectors) -> float:
    """Mean cosine of matched prompt and answer − mean cosine over all unmatched pairs; 0 for a shuffled mapping."""
    matched = _row_cosines(vectors)
    count = len(matched)
    if count < 2:
        return math.nan
    everything = vectors.inputs.sum(axis=0) @ vectors.outputs.sum(axis=0)
    return float(matched.mean() - (everything - matched.sum()) / (count * (count - 1)))


@feature(
    tier="embed",
    unit="fraction",
    meaning="the share of prompts that are unlike the rest in meaning",
    source="modified z-score above 3.5, Iglewicz and Hoaglin 1993",
)
def input_outlier_rate(vectors: Vectors) -> float:
    return _outlier_rate(vectors.inputs)


@feature(
    tier="embed",
    unit="fraction",
    meaning="the share of answers that are unlike the rest in meaning",
    source="modified z-score above 3.5, Iglewicz and Hoaglin 1993",
)
def output_outlier_rate(vectors: Vectors) -> float:
    return _outlier_rate(vectors.outputs)


@feature(
    tier="embed",
    unit="rows",
    meaning="how many truly different prompts the sample is worth",
    source=_VENDI,
)
def input_vendi_score(vectors: Vectors) -> float:
    return _vendi_score(vectors.inputs)


@feature(
    tier="embed",
    unit="rows",
    meaning="how many truly different answers the sample is worth",
    source=_VENDI,
)
def output_vendi_score(vectors: Vectors) -> float:
    return _vendi_score(vectors.outputs)


@feature(
    tier="embed",
    unit="cosine",
    meaning="how close the training prompts are, taken together, to the evaluation's prompts",
    source="cosine of the mean vectors, linear-kernel form of Gretton et al. 2012, A Kernel Two-Sample Test",
    nan=_NO_EVAL,
)
def eval_similarity(vectors: Vectors) -> float:
    if vectors.evaluation is None:
        return math.nan
    ours, theirs = vectors.inputs.mean(axis=0), vectors.evaluation.mean(axis=0)
    norms = np.linalg.norm(ours) * np.linalg.norm(theirs)
    return float(ours @ theirs / norms) if norms else math.nan


@feature(
    tier="embed",
    unit="cosine",
    meaning="how close each evaluation prompt is to its nearest training prompt",
    source="nearest-neighbour coverage, Naeem et al. 2020, Reliable Fidelity and Diversity Metrics",
    nan=_NO_EVAL,
)
def eval_nearest_similarity(vectors: Vectors) -> float:
    """Mean over the evaluation's prompts of the highest cosine with a training prompt of the sample."""
    if vectors.evaluation is None:
        return math.nan
    return float((vectors.evaluation @ vectors.inputs.T).max(axis=1).mean())


def _mean_pairwise_cosine(units: np.ndarray) -> float:
    """Mean cosine over all pairs of different rows: (‖Σe‖² − n) / (n(n − 1))."""
    count = len(units)
    if count < 2:
        return math.nan
    total = units.sum(axis=0)
    return float((total @ total - np.square(units).sum()) / (count * (count - 1)))


def _row_cosines(vectors: Vectors) -> np.ndarray:
    return np.einsum("nd,nd->n", vectors.inputs, vectors.outputs)


def _outlier_rate(units: np.ndarray) -> float:
    """Share of rows whose distance from the mean vector has a modified z-score above 3.5; 0 when all are alike.

    The distance is judged by the median and the median absolute deviation, which the outliers themselves do not move.
    """
    distances = np.linalg.norm(units - units.mean(axis=0), axis=1)
    excess = distances - np.median(distances)
    spread = np.median(np.abs(excess))
    return float(np.mean(0.6745 * excess > 3.5 * spread)) if spread > 1e-6 else float(np.mean(excess > 1e-3))


def _vendi_score(units: np.ndarray) -> float:
    """`exp` of the entropy of the eigenvalues of K / n, K the cosine kernel: between 1 and n.

    K / n and the d × d second-moment matrix have the same non-zero eigenvalues, so the smaller of the two is solved.
    """
    count, dimensions = units.shape
    kernel = (units.T @ units if dimensions < count else units @ units.T) / count
    eigenvalues = np.linalg.eigvalsh(kernel)
    shares = eigenvalues[eigenvalues > 1e-12]
    return float(np.exp(-(shares * np.log(shares)).sum()))
