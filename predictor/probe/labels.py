"""Features of rows with class labels: how they are shared out, and how far simple models agree with them.

A bag of words or a linear model on sentence embeddings that is trained on some of the rows and asked about the others
costs seconds. How often it agrees with the labels says how much there is to learn; where it is sure and disagrees, the
label is perhaps wrong (confident learning, Northcutt et al. 2021, by the package cleanlab).
"""

from __future__ import annotations

import contextlib
import io
import math
import typing
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from predictor.data.example import Example
from predictor.probe.embed import TextEncoder
from predictor.probe.feature import feature, measure
from predictor.probe.sample import sample

LABELLED: Final = "labelled"
"""Features that only rows with class labels have."""
ROWS: Final = 2000
"""Rows that simple models look at; the share of classes is counted over all."""
ENCODED: Final = 256
"""Rows, and as many of the development slice at most, that are encoded for a linear model."""
_FOLDS: Final = 5
_NO_SLICE: Final = "the development slice is empty"
_CV: Final = "cross-validated on the training rows themselves, five folds"


class LabelledTask(Protocol):
    """What these features ask a task."""

    def plain_text(self, example: Example) -> str:
        """What a reader reads."""
        ...

    def target(self, example: Example) -> str:
        """The class."""
        ...


def labelled(task: Any) -> LabelledTask | None:
    """The task, where its rows are texts with class labels."""
    return typing.cast(LabelledTask, task) if hasattr(task, "plain_text") else None


@dataclass(frozen=True)
class Agreement:
    """Simple models beside the labels.

    Attributes:
        counts: rows of each class that occurs, over all rows.
        agreement: share of rows whose label a model trained on other rows gives them; NaN where it cannot be trained.
        doubtful: share of rows that confident learning takes for mislabelled.
        dev: share of the development slice that a model trained on the rows gets right.
        dev_macro: mean of these shares over the slice's classes.
    """

    counts: np.ndarray
    agreement: float = math.nan
    doubtful: float = math.nan
    dev: float = math.nan
    dev_macro: float = math.nan


def label_features(examples: Sequence[Example], task: LabelledTask, dev: Sequence[Example] = ()) -> dict[str, float]:
    """The features of tier `static` that a bag of words finds."""
    from predictor.tasks.floor import bag_of_words

    chosen = sample(examples, ROWS)
    texts, asked = ([task.plain_text(example) for example in rows] for rows in (chosen, dev))
    return measure("static", _agreement(examples, chosen, dev, task, bag_of_words, texts, asked), kind=LABELLED)


def label_embed_features(
    examples: Sequence[Example], task: LabelledTask, encoder: TextEncoder, dev: Sequence[Example] = ()
) -> dict[str, float]:
    """The features of tier `embed` that a linear model on sentence embeddings finds."""
    chosen, asked = sample(examples, ENCODED), sample(dev, ENCODED)
    vectors = [encoder.encode([task.plain_text(example) for example in rows]) for rows in (chosen, asked) if rows]
    return measure(
        "embed",
        _agreement(examples, chosen, asked, task, _linear, vectors[0], vectors[1] if len(asked) else []),
        kind=LABELLED,
    )


@feature(
    tier="static",
    kind=LABELLED,
    unit="fraction",
    meaning="how evenly the rows are shared among the classes",
    source="Shannon entropy of the labels over that of as many equal classes",
)
def label_balance(seen: Agreement) -> float:
    """1 where all classes have as many rows; 0 of one class."""
    shares = seen.counts / seen.counts.sum()
    return float(-(shares * np.log(shares)).sum() / math.log(len(shares))) if len(shares) > 1 else 0.0


@feature(
    tier="static",
    kind=LABELLED,
    unit="classes",
    meaning="how many classes there are",
    source="count of distinct labels",
)
def label_classes(seen: Agreement) -> float:
    return float(len(seen.counts))


@feature(
    tier="static",
    kind=LABELLED,
    unit="fraction",
    meaning="the share of rows in the rarest class",
    source="rows of the class with the fewest over all",
)
def minority_share(seen: Agreement) -> float:
    return float(seen.counts.min() / seen.counts.sum())


@feature(
    tier="static",
    kind=LABELLED,
    unit="rows",
    meaning="how many rows the rarest class has",
    source="rows of the class with the fewest",
)
def minority_rows(seen: Agreement) -> float:
    return float(seen.counts.min())


@feature(
    tier="static",
    kind=LABELLED,
    unit="fraction",
    meaning="how often a bag of words that has seen the other rows gives a row its label",
    source=_CV,
    nan="fewer than ten rows, or hardly any but of one class",
)
def bag_of_words_agreement(seen: Agreement) -> float:
    return seen.agreement


@feature(
    tier="static",
    kind=LABELLED,
    unit="fraction",
    meaning="the share of rows whose label a bag of words takes for wrong",
    source="confident learning, Northcutt et al. 2021, with TF-IDF and logistic regression",
    nan="fewer than ten rows, or hardly any but of one class",
)
def doubtful_label_rate(seen: Agreement) -> float:
    return seen.doubtful


@feature(
    tier="static",
    kind=LABELLED,
    unit="fraction",
    meaning="how much of the development slice a bag of words gets right that has learnt these rows",
    source="TF-IDF and logistic regression, trained on the rows",
    nan=_NO_SLICE,
    baseline="bag_of_words_only",
)
def bag_of_words_dev_accuracy(seen: Agreement) -> float:
    return seen.dev


@feature(
    tier="static",
    kind=LABELLED,
    unit="fraction",
    meaning="the same, averaged over the classes of the slice",
    source="TF-IDF and logistic regression, trained on the rows; mean recall",
    nan=_NO_SLICE,
)
def bag_of_words_dev_recall(seen: Agreement) -> float:
    return seen.dev_macro


@feature(
    tier="embed",
    kind=LABELLED,
    unit="fraction",
    meaning="how often a linear model on sentence embeddings gives a row its label that has seen the other rows",
    source=_CV,
    nan="fewer than ten rows, or hardly any but of one class",
)
def embedding_agreement(seen: Agreement) -> float:
    return seen.agreement


@feature(
    tier="embed",
    kind=LABELLED,
    unit="fraction",
    meaning="the share of rows whose label a linear model on sentence embeddings takes for wrong",
    source="confident learning, Northcutt et al. 2021, with logistic regression on embeddings",
    nan="fewer than ten rows, or hardly any but of one class",
)
def embedding_doubtful_rate(seen: Agreement) -> float:
    return seen.doubtful


@feature(
    tier="embed",
    kind=LABELLED,
    unit="fraction",
    meaning="how much of the development slice a linear model on sentence embeddings of these rows gets right",
    source="logistic regression on frozen embeddings, Alain and Bengio 2016, linear classifier probes",
    nan=_NO_SLICE,
    baseline="embedding_only",
)
def embedding_dev_accuracy(seen: Agreement) -> float:
    return seen.dev


@feature(
    tier="embed",
    kind=LABELLED,
    unit="fraction",
    meaning="the same, averaged over the classes of the slice",
    source="logistic regression on frozen embeddings; mean recall",
    nan=_NO_SLICE,
)
def embedding_dev_recall(seen: Agreement) -> float:
    return seen.dev_macro


def _linear() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10.0, max_iter=1000)


def _agreement(
    examples: Sequence[Example],
    chosen: Sequence[Example],
    asked: Sequence[Example],
    task: LabelledTask,
    make: Callable[[], Any],
    inputs: Any,
    asked_inputs: Any,
) -> Agreement:
    everything = np.unique([task.target(example) for example in examples], return_counts=True)[1]
    classes, labels = np.unique([task.target(example) for example in chosen], return_inverse=True)
    if len(classes) < 2:
        return Agreement(everything)
    agreement, doubtful = _within(make, inputs, labels, len(classes))
    dev = dev_macro = math.nan
    if len(asked):
        model = make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(inputs, labels)
        said = classes[model.predict(asked_inputs)]
        truth = np.array([task.target(example) for example in asked])
        dev = float(np.mean(said == truth))
        dev_macro = float(np.mean([np.mean(said[truth == each] == each) for each in np.unique(truth)]))
    return Agreement(everything, agreement, doubtful, dev, dev_macro)


def _within(make: Callable[[], Any], inputs: Any, labels: np.ndarray, classes: int) -> tuple[float, float]:
    """Agreement and doubt, both by models that have not seen the row."""
    from sklearn.model_selection import KFold, StratifiedKFold

    if len(labels) < 2 * _FOLDS:
        return math.nan, math.nan
    # A class of fewer rows than there are folds cannot be in all of them.
    kind = StratifiedKFold if np.bincount(labels).min() >= _FOLDS else KFold
    probabilities = np.zeros((len(labels), classes))
    take = inputs.__getitem__ if isinstance(inputs, np.ndarray) else lambda rows: [inputs[row] for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fold that has not converged is a rough model all the same
        for seen, left in kind(_FOLDS, shuffle=True, random_state=0).split(labels, labels):
            if len(np.unique(labels[seen])) < 2:
                return math.nan, math.nan
            model = make().fit(take(seen), labels[seen])
            probabilities[np.ix_(left, model.classes_)] = model.predict_proba(take(left))
    agreement = float(np.mean(probabilities.argmax(1) == labels))
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        issues = find_label_issues(labels, probabilities, n_jobs=1)
    return agreement, float(np.mean(issues))
