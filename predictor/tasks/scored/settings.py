"""What is set of the scoring task, and what its texts mean."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from predictor.config import param, split_list
from predictor.errors import ConfigError
from predictor.metrics import reasoning
from predictor.tasks.scored.scale import Wishes, label_of

WRITES: Final = "none"
"""The head of a model that writes its scores."""
HEADS: Final = {"regression": "mlp", "linear_regression": "linear"}
"""What `head` says → the head that stands on the model, as classification calls it."""
_OURS = ("prompt", "company_info", "think", "score", "reason", "dimension")


@dataclass(frozen=True)
class ScoringSettings:
    """Section `scoring`."""

    head: str = param(
        WRITES,
        "none (the default): the model writes its answer; regression (input, 512, 256, dimensions) or "
        "linear_regression: a head gives the scores, on an encoder too",
        choices=(WRITES, *HEADS),
    )
    metric_for_best_model: str = param(
        "closeness",
        "the same of a head that gives scores: closeness (the default), pearson, spearman, loss or none",
        choices=("closeness", "pearson", "spearman", "loss", "none"),
    )
    scoring_dimensions: str = param(
        "", "what is scored, as NAME or NAME=LABEL separated by commas; empty takes every dimension of the data"
    )
    scoring_low: float = param(0.0, "the lowest score; equal to scoring_high: the range is found in the rows")
    scoring_high: float = param(0.0, "the highest score")
    scoring_bins: str = param(
        "", "classes of binned_accuracy: how many equal ones, or the borders between them; empty: each whole number"
    )
    scoring_fields: str = param(
        "", "names of fields in the files, as OURS=THEIRS separated by commas; ours: " + " ".join(_OURS)
    )
    scoring_together: bool = param(False, "rows of the same input in several dimensions become one prompt for all")
    scoring_terms: str = param(
        "", "terms of the field, separated by commas, or a file with one a line; empty: found in the training texts"
    )
    max_new_tokens: int = param(512, "tokens of an answer; a longer one is cut when generating", least=1, listed=False)


def check_head(settings: ScoringSettings) -> None:
    """Raise ConfigError for a setting of a model that writes beside a head, or of a head without one."""
    usual = ScoringSettings()
    if settings.head == WRITES:
        if settings.metric_for_best_model != usual.metric_for_best_model:
            raise ConfigError(
                f"metric_for_best_model={settings.metric_for_best_model} is given for a model that writes its scores",
                where="-P metric_for_best_model",
                rule="it chooses among the evaluations of a head; a model that writes is evaluated by its loss",
                fix="leave it out, or choose a head: -P head=regression",
            )
        return
    for name, why in (
        ("scoring_terms", "terms are looked for in reasonings, and a head writes none"),
        ("max_new_tokens", "it cuts answers that are written, and a head writes none"),
    ):
        if getattr(settings, name) != getattr(usual, name):
            raise ConfigError(
                f"{name} is given for head={settings.head}",
                where=f"-P {name}",
                rule=why,
                fix=f"leave {name} out, or let the model write its answer: -P head={WRITES}",
            )


def _pairs(text: str) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in split_list(text))
    return {name.strip(): value.strip() for name, _, value in pairs}


def fields_of(text: str) -> dict[str, str]:
    """Our name of a field → theirs.

    Raises:
        ConfigError: a name that is none of ours.
    """
    found = _pairs(text)
    wrong = next((name for name, theirs in found.items() if name not in _OURS or not theirs), None)
    if wrong is not None:
        raise ConfigError(
            f"scoring_fields has the unknown entry '{wrong}'",
            where=f"-P scoring_fields={text}",
            rule=f"OURS=THEIRS, ours being one of: {', '.join(_OURS)}",
            fix="score=rating",
        )
    return found


def terms_of(text: str) -> tuple[str, ...]:
    """Terms in the form in which words of a text are compared.

    Raises:
        ConfigError: the file cannot be read.
    """
    listed = split_list(text)
    if len(listed) == 1 and Path(listed[0]).suffix == ".txt":
        try:
            listed = tuple(Path(listed[0]).read_text(encoding="utf-8").splitlines())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the list of terms cannot be read: {error}",
                where=f"-P scoring_terms={text}",
                rule="a .txt file with one term a line, or terms separated by commas",
            ) from error
    return tuple(" ".join(reasoning.words(term)) for term in listed if term.strip())


def wishes_of(settings: ScoringSettings) -> Wishes:
    """The scale that the settings wish for.

    Raises:
        ConfigError: two dimensions with one label, or classes that are none.
    """
    dimensions = {name: label or label_of(name) for name, label in _pairs(settings.scoring_dimensions).items()}
    labels = list(dimensions.values())
    if twice := next((label for label in labels if labels.count(label) > 1), None):
        raise ConfigError(
            f"two dimensions have the label '{twice}'", where="-P scoring_dimensions", rule="each its own"
        )
    try:
        entries = [float(entry) for entry in split_list(settings.scoring_bins)]
    except ValueError:
        entries = [math.nan]
    classes, edges = 0, None
    if len(entries) == 1 and entries[0].is_integer() and entries[0] >= 2:
        classes = int(entries[0])
    elif entries:
        if any(math.isnan(entry) for entry in entries) or sorted(set(entries)) != entries:
            raise ConfigError(
                f"scoring_bins='{settings.scoring_bins}' names no classes",
                where="-P scoring_bins",
                rule="a whole number of at least 2, or rising borders separated by commas",
                fix="scoring_bins=5, or scoring_bins=1.5,2.5,3.5",
            )
        edges = tuple(entries)
    return Wishes(dimensions, settings.scoring_low, settings.scoring_high, edges, classes)
