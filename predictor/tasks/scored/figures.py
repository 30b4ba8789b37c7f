"""From given and said scores to the figures that are reported: of all, of those that could be read, by dimension."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from predictor.metrics import ratings
from predictor.metrics.standard_error import mean_se
from predictor.schema.targets import Target
from predictor.tasks.base import TaskScores
from predictor.tasks.scored.scale import Scale

_MEASURES: Final = {
    "closeness": ("1 less the mean error over the range of the scores", "fraction", 0.0, 1.0, True),
    "mae": ("the mean absolute error", "score", 0.0, None, False),
    "rmse": ("the root of the mean squared error", "score", 0.0, None, False),
    "pearson": ("how well said and given scores go together, by Pearson", "ratio", -1.0, 1.0, True),
    "spearman": ("how well their ranks go together, by Spearman", "ratio", -1.0, 1.0, True),
    "binned_accuracy": ("the share of scores that fall into the class of the given one", "fraction", 0.0, 1.0, True),
}
"""Measure → meaning, unit, low, high, whether higher is better."""
_KINDS: Final = {
    "": "; an answer without a score counts as the worst one",
    "parsed_": "; answers without a score are left out",
    "expected_": "; of the expected value over the likelihoods of the scores",
    "floor_": "; of a ridge on embeddings and lengths of the inputs",
}
"""Prefix of a measure → which scores are measured."""
BY_ROW: Final = ("closeness", "mae", "binned_accuracy")
"""Measures that are means of their questions."""


def _declared() -> tuple[Target, ...]:
    found = [
        Target(
            prefix + name,
            meaning + said,
            unit,
            low,
            high,
            better,
            "given" if prefix in ("parsed_", "floor_") else "mean" if name in BY_ROW else "bootstrap",
        )
        for prefix, said in _KINDS.items()
        for name, (meaning, unit, low, high, better) in _MEASURES.items()
    ]
    others = [
        Target("parse_rate", "the share of answers from which a score could be read", low=0.0, high=1.0, error="mean"),
        Target("collapse", "the share of answers that give the commonest score; 1 is one value for all",
               high=1.0, higher_is_better=False, error="given"),
        Target("score_entropy", "how evenly said scores fill the classes", "ratio", 0.0, error="given"),
        Target("score_deviation", "the standard deviation of said scores", "score", 0.0, error="given"),
        Target("consistency", "how like the correlations between dimensions are to the given ones",
               low=0.0, high=1.0, error="given"),
        Target("coherence", "how the sentences of a reasoning hang together", low=0.0, high=1.0, error="mean"),
        Target("term_use", "use of the field's terms in a reasoning", low=0.0, high=1.0, error="mean"),
        Target("sufficiency", "the share of what the input speaks of that a reasoning takes up",
               low=0.0, high=1.0, error="mean"),
        Target("specificity", "numbers, names and examples in a reasoning", low=0.0, high=1.0, error="mean"),
    ]  # fmt: skip
    return (*found, *others)


TARGETS: Final = _declared()


@dataclass(frozen=True)
class Said:
    """Scores side by side, one entry for each dimension of each question.

    Attributes:
        question: position of the question, (n,). dimension: name, (n,). given: by people, (n,).
        greedy: read from the answer, (n,); NaN where none could be read.
        expected: over the likelihoods of the levels, (n,); NaN where they were not asked for.
        questions: how many there are.
    """

    question: np.ndarray
    dimension: np.ndarray
    given: np.ndarray
    greedy: np.ndarray
    expected: np.ndarray
    questions: int

    @cached_property
    def entries(self) -> list[np.ndarray]:
        """The entries of each question."""
        return [np.flatnonzero(self.question == number) for number in range(self.questions)]

    @cached_property
    def single(self) -> bool:
        """Each question has one entry, in the order of the questions."""
        return bool(np.array_equal(self.question, np.arange(self.questions)))

    def of_questions(self, sample: np.ndarray) -> np.ndarray:
        """The entries of a sample of questions."""
        return sample if self.single else np.concatenate([self.entries[number] for number in sample])


def task_scores(said: Said, scale: Scale) -> TaskScores:
    """Every figure of an evaluation, that of reasonings aside."""
    complete = np.where(np.isfinite(said.greedy), said.greedy, [scale.worst(each) for each in said.given])
    parsed = np.isfinite(said.greedy)
    scores = _all("", said, complete, scale)
    scores = scores.joined(_some("parsed_", said.given[parsed], said.greedy[parsed], scale))
    if np.isfinite(said.expected).all():
        scores = scores.joined(_all("expected_", said, said.expected, scale))
    rate = [float(parsed[entries].mean()) for entries in said.entries]
    spread = {
        "parse_rate": float(np.mean(rate)),
        "collapse": ratings.commonest_share(said.greedy[parsed]) if parsed.any() else math.nan,
        "score_entropy": ratings.entropy(said.greedy[parsed], scale.edges),
        "score_deviation": float(said.greedy[parsed].std()) if parsed.any() else math.nan,
    }
    scores = scores.joined(TaskScores(spread, {"parse_rate": rate}))
    if len(scale.dimensions) > 1:
        scores = scores.joined(_by_dimension(said, complete, scale))
    return scores.joined(TaskScores({}, account=account_of(said, scale)))


def predicted_scores(prefix: str, said: Said, values: np.ndarray, scale: Scale) -> TaskScores:
    """The same measures of other predictions, under a prefix, over all and by dimension."""
    scores = _some(prefix, said.given, values, scale)
    for name in scale.dimensions if len(scale.dimensions) > 1 else ():
        of = said.dimension == name
        scores = scores.joined(_some(prefix, said.given[of], values[of], scale, f"/{name}"))
    return scores


def _all(prefix: str, said: Said, values: np.ndarray, scale: Scale) -> TaskScores:
    """Measures over every question: means of rows, and what a bootstrap computes anew from questions."""
    error = np.abs(values - said.given)
    same = ratings.bins(values, scale.edges) == ratings.bins(said.given, scale.edges)
    each = {"closeness": 1.0 - error / scale.span, "mae": error, "binned_accuracy": same.astype(float)}
    rows = {
        prefix + name: [float(of_entry[entries].mean()) for entries in said.entries] for name, of_entry in each.items()
    }
    resample: dict[str, Callable[[np.ndarray], float]] = {}
    for measure in (ratings.rmse, ratings.pearson, ratings.spearman):

        def again(sample: np.ndarray, measure: Callable[..., float] = measure) -> float:
            entries = said.of_questions(sample)
            return measure(said.given[entries], values[entries])

        resample[prefix + measure.__name__] = again
    everything = np.arange(said.questions)
    found = {name: float(np.mean(row)) for name, row in rows.items()}
    return TaskScores(found | {name: again(everything) for name, again in resample.items()}, rows, resample)


def _some(prefix: str, given: np.ndarray, values: np.ndarray, scale: Scale, part: str = "") -> TaskScores:
    """Measures over some entries, with errors by formula."""
    error = np.abs(values - given)
    same = ratings.bins(values, scale.edges) == ratings.bins(given, scale.edges)
    each = {"closeness": 1.0 - error / scale.span, "mae": error, "binned_accuracy": same.astype(float)}
    found = {name: float(row.mean()) if len(row) else math.nan for name, row in each.items()}
    found |= {m.__name__: m(given, values) for m in (ratings.rmse, ratings.pearson, ratings.spearman)}
    errors = {name: mean_se(row) for name, row in each.items()}
    errors |= {name: ratings.pearson_se(found[name], len(given)) for name in ("pearson", "spearman")}
    return TaskScores(
        {f"{prefix}{name}{part}": value for name, value in found.items()},
        errors={f"{prefix}{name}{part}": value for name, value in errors.items()},
    )


def _by_dimension(said: Said, complete: np.ndarray, scale: Scale) -> TaskScores:
    scores = TaskScores({})
    for name in scale.dimensions:
        of = said.dimension == name
        if not of.any():
            continue
        scores = scores.joined(_some("", said.given[of], complete[of], scale, f"/{name}"))
        rate = np.isfinite(said.greedy[of]).astype(float)
        mine = TaskScores({f"parse_rate/{name}": float(rate.mean())}, errors={f"parse_rate/{name}": mean_se(rate)})
        scores = scores.joined(mine)
        if np.isfinite(said.expected).all():
            scores = scores.joined(_some("expected_", said.given[of], said.expected[of], scale, f"/{name}"))
    return scores


def account_of(said: Said, scale: Scale) -> dict[str, Any]:
    """What figures are drawn from, as JSON values."""
    return {
        "low": scale.low,
        "high": scale.high,
        "edges": list(scale.edges),
        "dimensions": {
            name: {
                kind: _plain(getattr(said, kind)[said.dimension == name]) for kind in ("given", "greedy", "expected")
            }
            for name in scale.dimensions
        },
    }


def consistency_of(said: Said, items: Sequence[str], scale: Scale) -> tuple[TaskScores, dict[str, Any]]:
    """How dimensions go together, by people and by the model, over items that are scored in several of them.

    Args:
        items: what each entry scores.
    """
    names = list(scale.dimensions)
    row_of = {item: row for row, item in enumerate(dict.fromkeys(items))}
    tables = {kind: np.full((len(row_of), len(names)), math.nan) for kind in ("given", "said")}
    best = said.expected if np.isfinite(said.expected).all() else said.greedy
    for entry, item in enumerate(items):
        place = row_of[item], names.index(str(said.dimension[entry]))
        tables["given"][place], tables["said"][place] = said.given[entry], best[entry]
    matrices = {kind: ratings.correlations(table) for kind, table in tables.items()}
    value = ratings.consistency(matrices["given"], matrices["said"])
    constant = [name for place, name in enumerate(names) if ratings.is_constant(_finite(tables["said"][:, place]))]
    verdict = "collapsed" if len(constant) == len(names) else "partly collapsed" if constant else "varied"
    told = {
        "names": names,
        "given": [_plain(row) for row in matrices["given"]],
        "said": [_plain(row) for row in matrices["said"]],
        "verdict": verdict,
        "constant": constant,
    }
    return TaskScores({"consistency": value}), told


def verdict_of(values: Mapping[str, float]) -> str:
    """Whether correlation is defined, in a line for a person; empty where nothing need be said."""
    if not math.isnan(values.get("parsed_pearson", 0.0)) or math.isnan(values.get("parsed_mae", math.nan)):
        return ""
    return "collapsed: every answer that could be read gives the same score; its correlation is undefined"


def _finite(values: np.ndarray) -> np.ndarray:
    return values[np.isfinite(values)]


def _plain(values: np.ndarray) -> list[float | None]:
    return [float(each) if math.isfinite(each) else None for each in values]
