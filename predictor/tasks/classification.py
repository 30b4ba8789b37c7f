"""Text classification: which of a few classes a text belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from predictor.config import param, split_list
from predictor.data.example import Example, Message
from predictor.errors import ConfigError, DataError
from predictor.schema.targets import Target
from predictor.tasks.base import TaskScores, register
from predictor.tasks.class_scores import class_scores

TEMPLATE: Final = (
    'Please carefully read the following reference text:"{text}", and determine which of the following categories it '
    "belongs to:{class_labels},answer:"
)
"""How a decoder is asked when nothing else is said."""
OFF: Final = "none"
_MOST_CLASSES: Final = 1000


@dataclass(frozen=True)
class ClassificationSettings:
    """Section `classification`."""

    head: str = param(
        "mlp",
        "what stands on the model: mlp (input, 512, 256, classes; ReLU and dropout) or linear; method=sft has no head "
        "and writes the label",
        choices=("mlp", "linear"),
    )
    text_column: str = param("", "column of the text, several separated by commas; empty tells it from the data")
    label_column: str = param("", "column of the label; empty tells it from the data")
    label_names: str = param(
        "",
        "names of the classes, separated by commas: in the order of the numbers that the data holds, or all names that "
        "it may hold; empty takes what the training data holds",
    )
    prompt_template: str = param(
        "",
        "what is put to the model, with {text} and perhaps {class_labels}; none for the bare text; empty: a question "
        "for decoders, the bare text for encoders",
    )
    class_weights: str = param(
        "none", "none, or balanced: a class weighs in the loss as if all had as many rows", choices=("none", "balanced")
    )
    metric_for_best_model: str = param(
        "accuracy",
        "the weights of the evaluation that was best by this are the outcome; none keeps those of the last step",
        choices=("accuracy", "macro_f1", "loss", "none"),
    )


def _fraction(name: str, meaning: str, error: str) -> Target:
    return Target(name, meaning, low=0.0, high=1.0, error=error)  # type: ignore[arg-type]


@register
class Classification:
    """Reads `text` and `label`; scores accuracy (the headline) and macro-averaged precision, recall and F1.

    Beside them a fine-tune reports what the majority class and a bag of words reach that learnt from the same rows.

    Args:
        labels: the classes in their order; None as long as no data has told them, when those of the scored rows count.
        names: what the data calls a class → its name.
    """

    name = "classification"
    targets: tuple[Target, ...] = (
        _fraction("accuracy", "the share of texts whose class is found", "bernoulli"),
        _fraction("macro_f1", "F1 averaged over classes, so that a rare one counts as much", "bootstrap"),
        _fraction("macro_precision", "the share of right ones among the texts called a class, averaged", "bootstrap"),
        _fraction("macro_recall", "the share of a class's texts that are found, averaged", "bootstrap"),
        _fraction("unnamed", "the share of answers that name no class", "bernoulli"),
        _fraction("majority_accuracy", "accuracy of calling every text the commonest class", "bernoulli"),
        _fraction("bag_of_words_accuracy", "accuracy of TF-IDF and logistic regression on the same rows", "bernoulli"),
        _fraction("bag_of_words_macro_f1", "macro F1 of TF-IDF and logistic regression on the same rows", "bootstrap"),
    )
    headline = "accuracy"
    max_new_tokens = 16
    settings = ClassificationSettings
    defaults: Mapping[str, object] = {"eval_dataset": "", "eval_limit": 0, "dev_limit": 500}
    defaults_with: Mapping[str, Mapping[str, object]] = {
        "full": {"learning_rate": 2e-5, "batch_size": 4, "epochs": 5},
        "lora": {"learning_rate": 5e-4, "batch_size": 8, "epochs": 8, "lora_r": 64, "lora_alpha": 16},
        "sft": {"learning_rate": 5e-4, "batch_size": 8, "epochs": 8, "lora_r": 64, "lora_alpha": 16},
    }

    def __init__(
        self,
        settings: ClassificationSettings = ClassificationSettings(),
        labels: tuple[str, ...] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        self.options = settings
        self.labels = labels
        self.names = dict(names or {})
        template = settings.prompt_template
        if template not in ("", OFF) and "{text}" not in template:
            raise ConfigError(
                "the prompt template has no place for the text",
                where="-P prompt_template",
                rule="it holds {text}, and {class_labels} where the classes are to be listed",
                fix=f"-P prompt_template='Is this spam? {{text}}', or {OFF} for the bare text",
            )

    @property
    def columns(self) -> tuple[tuple[str, ...], str] | None:
        """The columns of text and label that the user names; None where the data tells them."""
        texts, label = split_list(self.options.text_column), self.options.label_column
        if bool(texts) != bool(label):
            raise ConfigError(
                "one of text_column and label_column is named",
                where="-P text_column" if texts else "-P label_column",
                rule="both, or neither",
            )
        return (texts, label) if label else None

    def learn_from(self, train: Sequence[Example], evaluations: Sequence[Sequence[Example]]) -> Classification:
        """The same task with the classes of the training rows.

        Their order is that of the numbers, where all are whole numbers, else that of the letters, or the one of
        `label_names`.

        Raises:
            DataError: fewer than two classes, too many, or a row to be evaluated is of a class that is none of them.
            ConfigError: label_names does not fit the data.
        """
        found = _in_order({example.label or "" for example in train})
        names = split_list(self.options.label_names)
        renamed: dict[str, str] = {}
        if names:
            renamed, found = _named(found, names)
        if len(found) < 2 or len(found) > _MOST_CLASSES:
            raise DataError(
                f"the training rows hold {len(found)} class{'es' * (len(found) != 1)}"
                + (f", such as {', '.join(map(repr, found[:3]))}" if found else ""),
                where="-P dataset",
                rule=f"2 to {_MOST_CLASSES} classes",
                fix="name the columns with -P text_column=… -P label_column=…, or name all classes with label_names",
            )
        made = Classification(self.options, tuple(found), renamed)
        counts = Counter(made.target(example) for rows in evaluations for example in rows)
        if unknown := {label: count for label, count in counts.items() if label not in found}:
            shown = ", ".join(f"'{label}' ({count} rows)" for label, count in sorted(unknown.items())[:5])
            raise DataError(
                f"rows to be evaluated are of {len(unknown)} classes that no training row has: {shown}",
                where="-P eval_dataset, or the parts of the dataset",
                rule=f"the classes of the training rows: {', '.join(found[:12])}",
                fix="take these rows out, or name every class with -P label_names=…",
            )
        return made

    def found(self) -> dict[str, Any]:
        """The classes in their order, and what the data calls them, as JSON values."""
        return {"labels": list(self.labels), "names": self.names} if self.labels else {}

    def with_found(self, found: Mapping[str, Any]) -> Classification:
        """The task with the classes of an earlier fine-tune."""
        return Classification(self.options, tuple(found["labels"]), found["names"])

    def accepts(self, example: Example) -> str | None:
        """None when the example can be used, otherwise what it lacks."""
        lacking = [name for name in ("text", "label") if not (getattr(example, name) or "").strip()]
        return f"lacks {' and '.join(lacking)}" if lacking else None

    def plain_text(self, example: Example) -> str:
        """What a reader reads, without any question around it."""
        return example.text or ""

    def prompt(self, example: Example) -> list[Message]:
        """One user turn: the text in the template."""
        return [Message("user", self.asked(example, bare=False))]

    def asked(self, example: Example, *, bare: bool) -> str:
        """The text as it is put to the model.

        Args:
            bare: without a template, unless the user has given one.
        """
        template = self.options.prompt_template or (OFF if bare else TEMPLATE)
        if template == OFF:
            return self.plain_text(example)
        labels = ",".join(self.labels or ())
        # Not `format`: the text and the template may hold braces of their own.
        return template.replace("{class_labels}", labels).replace("{text}", self.plain_text(example))

    def target(self, example: Example) -> str:
        """The name of the class."""
        label = example.label or ""
        return self.names.get(label, label)

    def parse(self, generated: str) -> str:
        """The class that a generated text names: its first line, whatever the case of its letters."""
        line = generated.strip().splitlines()[0].strip().rstrip(".") if generated.strip() else ""
        folded = {label.casefold(): label for label in self.labels or ()}
        return folded.get(line.casefold(), line)

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> TaskScores:
        """Scores of predicted classes against the right ones, in the same order.

        Raises:
            DataError: nothing to score, or unequal numbers of answers and examples.
        """
        if not examples or len(answers) != len(examples):
            raise DataError(
                f"{len(answers)} answers cannot be scored against {len(examples)} texts",
                rule="one answer for each question, which is a text here, and at least one question",
            )
        truth = [self.target(example) for example in examples]
        return class_scores(truth, answers, self.labels or tuple(_in_order(set(truth))))

    def with_floor(self, scores: TaskScores, train: Sequence[Example], scored: Sequence[Example]) -> TaskScores:
        """The scores, and beside them what the majority class and a bag of words reach: `predictor/tasks/floor.py`."""
        from predictor.tasks.floor import with_floor

        return with_floor(scores, self, train, scored)

    def row(self, example: Example, answer: str, scores: Mapping[str, float]) -> dict[str, object]:
        """Text, class, predicted class and whether they are the same."""
        return {"text": self.plain_text(example), "label": self.target(example), "answer": answer, **scores}


def _in_order(labels: set[str]) -> list[str]:
    if all(label.lstrip("-").isdecimal() for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def _named(found: list[str], names: tuple[str, ...]) -> tuple[dict[str, str], list[str]]:
    """What the data calls a class → its name, and the names in order."""
    if len(set(names)) < len(names):
        raise ConfigError("label_names names a class twice", where="-P label_names", rule="each once")
    if set(found) <= set(names):
        return {}, list(names)
    numbers = {str(number): name for number, name in enumerate(names)}
    if set(found) <= set(numbers):
        return numbers, list(names)
    foreign = [label for label in found if label not in names]
    raise ConfigError(
        f"label_names does not hold the class '{foreign[0]}' of the data",
        where="-P label_names",
        rule=f"a name for each class of the data ({', '.join(found[:12])}), or names for the numbers 0 to "
        f"{len(names) - 1}",
    )
