"""What needs no language model: the commonest class, and a bag of words that learns from the same rows in seconds.

Nobody should ship a fine-tune that these beat. The bag of words is TF-IDF over words and pairs of words with logistic
regression, as scikit-learn has them; nothing is tuned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from predictor.data.example import Example
from predictor.tasks.base import TaskScores
from predictor.tasks.class_scores import class_scores

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline


class LabelledTask(Protocol):
    """What is asked of a task."""

    labels: tuple[str, ...] | None
    """The classes in their order; None when no data has told them."""

    def plain_text(self, example: Example) -> str:
        """What a reader reads."""
        ...

    def target(self, example: Example) -> str:
        """The class."""
        ...


MOST_ROWS = 50_000
"""Rows that the bag of words learns from at most; the first ones."""


def bag_of_words() -> Pipeline:
    """Texts to classes: TF-IDF of words and pairs of words, sublinear, and logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # One letter is a word too: of scripts without spaces nothing else would be left.
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\w+|[^\w\s]")
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000))


def with_floor(
    scores: TaskScores, task: LabelledTask, train: Sequence[Example], scored: Sequence[Example]
) -> TaskScores:
    """The scores of a fine-tune, and beside them what the majority class and the bag of words reach.

    Args:
        train: the rows that the fine-tune learnt from. scored: those that the scores are of.
    """
    truth = [task.target(example) for example in scored]
    labels = task.labels or tuple(sorted({*truth, *map(task.target, train)}))
    learnt = [task.target(example) for example in train]
    commonest = Counter(learnt).most_common(1)[0][0]
    majority = class_scores(truth, [commonest] * len(truth), labels)
    words = class_scores(truth, bag_of_words_says(task, train, scored), labels)
    return TaskScores(
        values={
            **scores.values,
            "majority_accuracy": majority.values["accuracy"],
            "bag_of_words_accuracy": words.values["accuracy"],
            "bag_of_words_macro_f1": words.values["macro_f1"],
        },
        rows=scores.rows,
        resample={**scores.resample, "bag_of_words_macro_f1": words.resample["macro_f1"]},
        errors=scores.errors,
    )


def bag_of_words_says(task: LabelledTask, train: Sequence[Example], asked: Sequence[Example]) -> list[str]:
    """The classes that a bag of words gives to texts, learnt from other rows; of one class only, that class."""
    train = train[:MOST_ROWS]
    learnt = [task.target(example) for example in train]
    if len(set(learnt)) < 2:
        return [learnt[0]] * len(asked)
    model: Any = bag_of_words()
    model.fit([task.plain_text(example) for example in train], learnt)
    return [str(label) for label in model.predict([task.plain_text(example) for example in asked])]
