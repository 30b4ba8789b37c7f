"""Features of rows with class labels: each moves in the direction that its meaning says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.tiny import labelled_rows
from predictor.data import Example
from predictor.probe.feature import FEATURES
from predictor.probe.labels import LABELLED, label_embed_features, label_features
from predictor.tasks.classification import Classification

TASK = Classification()


def examples(count: int = 80, start: int = 0, *, wrong: float = 0.0, town: float = 0.5) -> list[Example]:
    rng = np.random.default_rng(0)
    found = []
    for i, (text, label) in enumerate(labelled_rows(count, start)):
        said = {"town": "name", "name": "town"}[label] if rng.random() < wrong else label
        if label == "town" or rng.random() < (1 - town) / town:
            found.append(Example(id=f"{i}", text=text, label=said))
    return found


class Encoder:
    """Texts as unit vectors that tell towns from names, and little else."""

    def encode(self, texts):
        angles = [0.1 + 0.01 * (len(text) % 7) + math.pi / 2 * (_class_of(text) == "town") for text in texts]
        return np.array([[math.cos(angle), math.sin(angle)] for angle in angles])


def _class_of(text: str) -> str:
    return dict(labelled_rows(400))[text]


def test_every_feature_of_labels_is_measured_and_nothing_else():
    found = {**label_features(examples(), TASK), **label_embed_features(examples(), TASK, Encoder())}
    assert set(found) == {name for name, entry in FEATURES if entry.kind == LABELLED}


def test_wrong_labels_lower_agreement_and_raise_doubt():
    clean, noisy = label_features(examples(), TASK), label_features(examples(wrong=0.3), TASK)
    assert clean["bag_of_words_agreement"] == 1.0
    assert noisy["bag_of_words_agreement"] < 0.85
    assert clean["doubtful_label_rate"] < 0.02 < noisy["doubtful_label_rate"]
    embedded = label_embed_features(examples(wrong=0.3), TASK, Encoder())
    assert embedded["embedding_agreement"] < 0.85
    assert embedded["embedding_doubtful_rate"] == pytest.approx(0.3, abs=0.1)


def test_the_balance_of_classes():
    even, skewed = label_features(examples(), TASK), label_features(examples(town=0.9), TASK)
    assert (even["label_balance"], even["minority_share"], even["minority_rows"]) == (1.0, 0.5, 40.0)
    assert skewed["label_balance"] < 0.7
    assert skewed["minority_share"] < 0.2
    assert even["label_classes"] == 2.0


def test_the_development_slice_is_asked_of_models_of_the_rows():
    asked = examples(40, start=200)
    found = label_features(examples(), TASK, asked) | label_embed_features(examples(), TASK, Encoder(), asked)
    names = ("bag_of_words_dev_accuracy", "bag_of_words_dev_recall", "embedding_dev_accuracy", "embedding_dev_recall")
    assert [found[name] for name in names] == [1.0] * 4
    without = label_features(examples(), TASK)
    assert math.isnan(without["bag_of_words_dev_accuracy"])


@pytest.mark.parametrize("rows", [examples(1), examples(8), [Example(id="a", text="a", label="town")] * 30])
def test_too_few_rows_or_one_class_alone_have_no_agreement(rows):
    found = label_features(rows, TASK, examples(10, start=300))
    assert math.isnan(found["bag_of_words_agreement"])
    assert found["label_balance"] in (0.0, pytest.approx(1.0))


def test_a_class_of_two_rows_spoils_nothing():
    rows = [
        *examples(60),
        Example(id="r", text="a rare thing", label="rare"),
        Example(id="s", text="odd", label="rare"),
    ]
    found = label_features(rows, TASK)
    assert 0.9 < found["bag_of_words_agreement"] < 1.0
    assert found["minority_rows"] == 2.0
