"""Giving scores: a text is rated in one dimension or several, with or without a reasoning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from predictor.data.example import Example, Message
from predictor.data.fingerprint import normalise
from predictor.errors import DataError
from predictor.metrics import reasoning
from predictor.tasks.base import Heard, TaskScores, Wanted, register
from predictor.tasks.scored import figures, form
from predictor.tasks.scored.joining import together, words_of
from predictor.tasks.scored.scale import UNNAMED, Scale, scores_of
from predictor.tasks.scored.settings import WRITES, ScoringSettings, check_head, fields_of, terms_of, wishes_of


@register
class Scoring:
    """Reads `question` (the prompt), `context` (what is rated), the score, `think` and `reason`; scores closeness.

    With a head it asks for no reasoning: the model reads :meth:`asked`, and learns :meth:`shares`.
    """

    name = "scoring"
    targets = figures.TARGETS
    headline = "closeness"
    settings = ScoringSettings

    def __init__(self, settings: ScoringSettings | None = None) -> None:
        settings = settings or ScoringSettings()
        check_head(settings)
        self._settings = settings
        self._headed = settings.head != WRITES
        self._wishes = wishes_of(settings)
        self._scale: Scale | None = None
        self._jointly = settings.scoring_together
        self._learnt: tuple[str, ...] = ()
        self._listed_terms = terms_of(settings.scoring_terms)
        self.fields = {theirs: ours for ours, theirs in fields_of(settings.scoring_fields).items()}
        self.max_new_tokens = settings.max_new_tokens

    def fitted(
        self, train: Sequence[Example], evaluation: Sequence[Example]
    ) -> tuple[Scoring, Sequence[Example], Sequence[Example]]:
        """The task with the scale of these rows; with `scoring_together` the rows of one input are one row.

        Raises:
            DataError: a dimension that no row has, with a head also one that no training row has, or scores outside
                the range.
        """
        task = Scoring(self._settings)
        task._scale = self._plain(self._wishes.scale(train, evaluation))
        if self._headed:
            self._check_taught(task._scale, train)
        if self._settings.scoring_together:
            train, evaluation = (together(rows, self._wishes) for rows in (train, evaluation))
        if self._headed:
            return task, train, evaluation
        task._jointly = 2 * sum(len(self._wishes.scores(row)) > 1 for row in train) > len(train)
        task._learnt = tuple(text for text in map(words_of, train) if text)
        # No answer of so many characters has more tokens than that.
        longest = max(len(task.target(example)) for example in (*train, *evaluation))
        task.max_new_tokens = min(self.max_new_tokens, longest + 16)
        return task, train, evaluation

    @property
    def scale(self) -> Scale | None:
        """The scale of the rows that the task was fitted to; None before."""
        return self._scale

    def found(self) -> dict[str, Any]:
        """The scale, whether rows score several dimensions at once, and the longest answer, as JSON values."""
        if self._scale is None:
            return {}
        scale = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self._scale).items()}
        return {"scale": scale, "jointly": self._jointly, "max_new_tokens": self.max_new_tokens}

    def with_found(self, found: Mapping[str, Any]) -> Scoring:
        """The task with the scale of an earlier fine-tune's rows."""
        task, kept = Scoring(self._settings), found["scale"]
        task._scale = Scale(**{**kept, "levels": tuple(kept["levels"]), "edges": tuple(kept["edges"])})
        task._jointly, task.max_new_tokens = found["jointly"], found["max_new_tokens"]
        return task

    def asked_of(self, example: Example) -> list[Example]:
        """What is put to the model to have a row scored, with a score or without: a prompt, or one for each dimension.

        A row with scores is asked for these, another one for its own dimension, and one that names none for all:
        at once where training rows were so, else one after the other. The scores of what is made here mean nothing.

        Raises:
            DataError: the row names a dimension that is none of the scale.
        """
        scale, given = self._scale_of([example]), self.given(example)
        own = example.extra.get("dimension")
        named = list(given) or ([own] if isinstance(own, str) and own else [])
        if foreign := [name for name in named if name not in scale.dimensions]:
            raise DataError(
                f"the row asks for {' and '.join(foreign)}", rule=f"the dimensions {', '.join(scale.dimensions)}"
            )
        if given:
            parts = [given]
        elif named and not self._settings.scoring_together:
            parts = [dict.fromkeys(named, scale.low)]
        else:
            every = dict.fromkeys(scale.dimensions, scale.low)
            parts = [every] if self._jointly else [{name: score} for name, score in every.items()]
        rest = {name: value for name, value in example.extra.items() if name not in ("dimension", "scores")}
        return [replace(example, extra={**rest, "scores": part}) for part in parts]

    def given(self, example: Example) -> dict[str, float]:
        """The scores that a row holds, by dimension; none of a row without, or whose scores are no numbers.

        A score whose dimension nobody names is of the only one that there is.
        """
        found = {} if self._wishes.lacks(example) else self._wishes.scores(example)
        names = list(self._scale.dimensions) if self._scale else list(found)
        if set(found) == {UNNAMED} and UNNAMED not in names:
            return {names[0]: found[UNNAMED]} if len(names) == 1 else {}
        return found

    def merged(self, rows: Sequence[Example]) -> Sequence[Example]:
        """Rows as the task was taught them: with `scoring_together` those of one input are one, if all have scores."""
        merge = self._settings.scoring_together and all(map(self.given, rows))
        return together(rows, self._wishes) if merge else rows

    def read_scores(
        self, answer: str, example: Example, losses: Sequence[Sequence[np.ndarray]] | None
    ) -> dict[str, tuple[float, float]]:
        """What an answer says of each dimension: the score that stands in it, and the expected value.

        Args:
            losses: of what :meth:`wants` asked for; None where nobody was asked.

        Returns:
            Dimension → (score, expected value), NaN for a score that cannot be read and a value that was not asked for.
        """
        labels = form.labels_of(self._wishes.scores(example), scale := self._scale_of([example]))
        return self._read(form.read(answer, list(labels.values()), scale), labels, losses, scale)

    def settled(self, train: Sequence[Example], evaluation: Sequence[Example]) -> dict[str, Any]:
        """Settings that say what is otherwise found in the rows, so that parts of them are scored on the same scale."""
        rows = [[each for each in part if self.accepts(each) is None] for part in (train, evaluation)]
        scale = self._wishes.scale(*rows)
        named = {
            name: label for name, label in scale.dimensions.items() if name != UNNAMED or len(scale.dimensions) > 1
        }
        dimensions = ",".join(f"{name}={label}" for name, label in named.items())
        return {"scoring_dimensions": dimensions, "scoring_low": scale.low, "scoring_high": scale.high}

    def accepts(self, example: Example) -> str | None:
        """None when the example can be used, otherwise what it lacks."""
        if not (example.question or "").strip():
            return "lacks a prompt"
        return self._wishes.lacks(example)

    def prompt(self, example: Example) -> list[Message]:
        """One user turn: the prompt, what is rated, which dimension, and the form of the answer.

        With a head it is what the head reads.
        """
        if self._headed:
            return [Message("user", self.asked(example))]
        scale = self._scale or self._wishes.loose(example)
        labels = form.labels_of(self._wishes.scores(example), scale)
        names = " and ".join(scale.dimensions[name] for name in labels)
        scores = f" from {scale.low:g} to {scale.high:g}" if self._scale else ""
        wanted = f"Rate {names}{scores} in this form:\n{form.asked(list(labels.values()), scale)}"
        return [Message("user", "\n\n".join(filter(None, [example.question, example.context, wanted])))]

    def target(self, example: Example) -> str:
        """Reasoning, score and reason, a line each; with a head the scores alone."""
        scale = self._scale or self._wishes.loose(example)
        if self._headed:
            return form.wordless(self._wishes.scores(example), scale)
        return form.written(example, self._wishes.scores(example), scale)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What a head gives scores of, in the order of its outputs; nothing before the task is :meth:`fitted`."""
        return tuple(self._scale.dimensions) if self._scale else ()

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest score; 0 and 1 before the task is :meth:`fitted`."""
        return (self._scale.low, self._scale.high) if self._scale else (0.0, 1.0)

    def rated(self, example: Example) -> str:
        """The text that is rated: the context, or the prompt where there is none."""
        return example.context or example.question or ""

    def asked(self, example: Example) -> str:
        """What a model with a head reads: the prompt and what is rated, and nothing of an answer's form."""
        return form.text_for_head(example.question, example.context)

    def shares(self, example: Example) -> tuple[float, ...]:
        """What a head learns of a row: its scores as shares of the range, in [0, 1], by :attr:`dimensions`.

        NaN for a dimension in which the row has no score.
        """
        return self._scale_of([example]).shares(self._wishes.scores(example))

    def answers_of(self, shares: np.ndarray, examples: Sequence[Example]) -> list[str]:
        """The answers of a head: its scores in the dimensions of each row, within the range.

        Args:
            shares: of the range, by row and dimension, (rows, dimensions); they may lie outside of [0, 1].
        """
        scale = self._scale_of(examples)
        found = scores_of(shares, scale.low, scale.high)
        answers = []
        for example, row in zip(examples, found, strict=True):
            by_dimension = dict(zip(scale.dimensions, map(float, row), strict=True))
            answers.append(form.given({name: by_dimension[name] for name in self._wishes.scores(example)}, scale))
        return answers

    def parse(self, generated: str) -> str:
        """The generated text without surrounding white space; scores are read from it strictly."""
        return generated.strip()

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> TaskScores:
        """Scores of the answers alone, without expected values.

        Raises:
            DataError: nothing to score, or unequal numbers of answers and examples.
        """
        return self._scores(answers, examples, None)

    def wants(self, example: Example, generated: str) -> list[Wanted]:
        """The scores that might stand in the answer, after what the model said before them."""
        scale = self._scale_of([example])
        labels = list(form.labels_of(self._wishes.scores(example), scale).values())
        return form.forks(generated, labels, scale)

    def score_heard(self, answers: Sequence[str], examples: Sequence[Example], heard: Heard) -> TaskScores:
        """Scores with expected values, the reasonings' quality with the encoder, and how dimensions go together."""
        return self._scores(answers, examples, heard)

    def row(self, example: Example, answer: str, scores: Mapping[str, float]) -> dict[str, object]:
        """Dimension, what was rated (its end), answer, the given scores, and how near it came."""
        given = self._wishes.scores(example)
        shown = ("mae", "expected_mae", "closeness", "parse_rate")
        return {
            "dimension": ", ".join(given),
            "input": (example.context or example.question or "")[-200:],
            "answer": answer,
            "given": ", ".join(f"{score:g}" for score in given.values()),
            **{name: scores[name] for name in shown if name in scores},
        }

    def numbers(self, examples: Sequence[Example]) -> dict[str, tuple[list[int], list[float]]]:
        """Dimension → positions of the rows that have it, and their scores."""
        found: dict[str, tuple[list[int], list[float]]] = {}
        for place, example in enumerate(examples):
            for name, score in self._wishes.scores(example).items():
                places, values = found.setdefault(name, ([], []))
                places.append(place)
                values.append(score)
        return found

    def floor_scores(self, predicted: Mapping[str, np.ndarray], examples: Sequence[Example]) -> TaskScores:
        """The measures of other predictions, such as a ridge's, each within the range."""
        scale = self._scale_of(examples)
        said = self._said(["" for _ in examples], examples, None, scale)[0]
        values = np.full(len(said.given), math.nan)
        for name in predicted:
            values[said.dimension == name] = np.clip(predicted[name], scale.low, scale.high)
        if not np.isfinite(values).all():
            return TaskScores({})
        floor = {name: [float(v) for v in values[said.dimension == name]] for name in scale.dimensions}
        return figures.predicted_scores("floor_", said, values, scale).joined(TaskScores({}, account={"floor": floor}))

    def _scores(self, answers: Sequence[str], examples: Sequence[Example], heard: Heard | None) -> TaskScores:
        if not examples or len(answers) != len(examples):
            raise DataError(
                f"{len(answers)} answers cannot be scored against {len(examples)} questions",
                rule="one answer for each question, and at least one question",
            )
        scale = self._scale_of(examples)
        said, words = self._said(answers, examples, heard, scale)
        scores = figures.task_scores(said, scale)
        if len(scale.dimensions) > 1:
            items = [normalise(examples[place].context or examples[place].id) for place in said.question]
            consistency, told = figures.consistency_of(said, items, scale)
            scores = scores.joined(consistency).joined(TaskScores({}, account={"consistency": told}))
        if verdict := figures.verdict_of(scores.values):
            scores = scores.joined(TaskScores({}, account={"verdict": verdict}))
        if scale.thinks or scale.reasons:
            scores = scores.joined(self._reasoning(words, examples, heard))
        return scores

    def _said(
        self, answers: Sequence[str], examples: Sequence[Example], heard: Heard | None, scale: Scale
    ) -> tuple[figures.Said, list[str]]:
        question: list[int] = []
        columns: dict[str, list[Any]] = {name: [] for name in ("dimension", "given", "greedy", "expected")}
        words = []
        for place, (answer, example) in enumerate(zip(answers, examples, strict=True)):
            given = self._wishes.scores(example)
            labels = form.labels_of(given, scale)
            found = form.read(answer, list(labels.values()), scale)
            words.append(found.words)
            read = self._read(found, labels, heard.losses[place] if heard is not None else None, scale)
            for name, (score, expected) in read.items():
                question.append(place)
                for column, value in zip(columns.values(), (name, given[name], score, expected), strict=True):
                    column.append(value)
        arrays = {name: np.array(column) for name, column in columns.items()}
        return figures.Said(np.array(question), questions=len(examples), **arrays), words

    def _read(
        self,
        found: form.Read,
        labels: Mapping[str, str],
        losses: Sequence[Sequence[np.ndarray]] | None,
        scale: Scale,
    ) -> dict[str, tuple[float, float]]:
        read = {}
        for number, (name, label) in enumerate(labels.items()):
            expected = math.nan
            if losses is not None:
                logs = -np.array([each.sum() for each in losses[number]])
                weights = np.exp(logs - logs.max())
                expected = float(weights @ np.array(scale.levels) / weights.sum())
            read[name] = found.scores.get(label, math.nan), expected
        return read

    def _reasoning(self, words: Sequence[str], examples: Sequence[Example], heard: Heard | None) -> TaskScores:
        terms = self._listed_terms
        if not terms and heard is not None:
            terms = reasoning.field_terms(self._learnt, heard.everyday)
        sources = [example.context or example.question or "" for example in examples]
        rows = {
            "coherence": [reasoning.coherence(text, heard.encode if heard else None) for text in words],
            "term_use": [reasoning.term_use(text, terms) for text in words],
            "sufficiency": [reasoning.sufficiency(*pair) for pair in zip(words, sources, strict=True)],
            "specificity": [reasoning.specificity(text) for text in words],
        }
        rows = {name: row for name, row in rows.items() if np.isfinite(row).all()}
        account = {"terms": list(terms)}
        return TaskScores({name: float(np.mean(row)) for name, row in rows.items()}, rows, account=account)

    def _scale_of(self, examples: Sequence[Example]) -> Scale:
        return self._scale or self._plain(self._wishes.scale(examples))

    def _plain(self, scale: Scale) -> Scale:
        """With a head, the scale of answers without words."""
        return replace(scale, thinks=False, reasons=False) if self._headed else scale

    def _check_taught(self, scale: Scale, train: Sequence[Example]) -> None:
        taught = {name for example in train for name in self._wishes.scores(example)}
        if lacking := [name for name in scale.dimensions if name not in taught]:
            raise DataError(
                f"no training row scores the dimension '{lacking[0]}'",
                where="-P dataset",
                rule="a head has an output for each dimension, and each is learnt from the training rows",
                fix=f"name what both files score: -P scoring_dimensions={','.join(sorted(taught))}",
            )
