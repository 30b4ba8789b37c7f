"""Models that give scores: rows in, the scores of each by dimension out, as they are written and as expected values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from predictor.data.rejection import Rejection
from predictor.models.answers import wanted_losses
from predictor.models.generate import generate
from predictor.models.sampling import Sampling
from predictor.progress import Progress
from predictor.serving.opening import Opened
from predictor.serving.questions import Question
from predictor.serving.writing import GREEDY, rendered
from predictor.tasks.base import found_by
from predictor.tasks.scoring import Scoring


class HasScores(Protocol):
    """What a model of any kind says of one row: dimension → score; None where none could be read."""

    @property
    def scores(self) -> Mapping[str, float | None]:
        """By dimension."""
        ...


R = TypeVar("R", bound=HasScores)


@dataclass(frozen=True)
class Rated:
    """What a model says of one row.

    Attributes:
        text: the answer; one under the other where a row took several prompts.
        tokens: that were generated. cut: one of the answers was longer, and cut.
        scores: dimension → the score that stands in the answer; None where none could be read.
        expected: dimension → the expected value over the likelihoods of the scores.
    """

    text: str
    tokens: int
    cut: bool
    scores: dict[str, float | None]
    expected: dict[str, float | None]


@dataclass(frozen=True)
class Rating:
    """Rows to models that give scores.

    Attributes:
        task: with the scale of the fine-tune.
        sampling: how tokens are chosen.
        most: tokens of an answer; never more than the task lets an answer have.
    """

    task: Scoring
    sampling: Sampling = GREEDY
    most: int = 256
    answer: ClassVar[type[Rated]] = Rated

    @property
    def longest(self) -> int:
        """Tokens of an answer at most."""
        return min(self.most, self.task.max_new_tokens)

    def settings(self) -> dict[str, Any]:
        """Longest answer, how tokens are chosen, and the scale."""
        return {"most": self.longest, "sampling": asdict(self.sampling), "scoring": found_by(self.task)}

    def ask(
        self,
        opened: Opened,
        questions: Mapping[str, Question],
        keep: Callable[[Mapping[str, Rated]], None],
        progress: Progress,
    ) -> dict[str, Rejection]:
        """Score rows; those with a prompt that leaves no room for an answer come back."""
        base, task = opened.base, self.task
        turns = {key: [task.prompt(part) for part in question.asked] for key, question in questions.items()}
        prompts, refused = rendered(opened, turns, questions, self.longest)
        order = [(key, number) for key, ids in prompts.items() for number in range(len(ids))]
        progress.stage(f"scores by {opened.name}", len(order))
        heard: dict[str, dict[int, Rated]] = {}

        def read(places: Sequence[int], answers: Sequence[list[int]]) -> None:
            texts = base.tokenizer.batch_decode(list(answers), skip_special_tokens=True)
            chosen = [order[place] for place in places]
            asked = [questions[key].asked[number] for key, number in chosen]
            wanted = [task.wants(example, text) for example, text in zip(asked, texts, strict=True)]
            losses = wanted_losses(opened.model, base, [prompts[key][number] for key, number in chosen], wanted)
            done = {}
            for (key, number), example, text, ids, loss in zip(chosen, asked, texts, answers, losses, strict=True):
                said = task.parse(text)
                found = task.read_scores(said, example, loss)
                heard.setdefault(key, {})[number] = Rated(
                    said,
                    len(ids),
                    len(ids) >= self.longest,
                    {name: _number(score) for name, (score, _) in found.items()},
                    {name: _number(value) for name, (_, value) in found.items()},
                )
                if len(heard[key]) == len(prompts[key]):
                    done[key] = _joined(heard.pop(key))
            keep(done)

        most = max(map(len, prompts.values()), default=1)
        generate(
            opened.model,
            base.tokenizer,
            [prompts[key][number] for key, number in order],
            max_new_tokens=self.longest,
            on_batch=lambda rows: progress.advance(rows),
            on_answers=read,
            sampling=self.sampling,
            numbers=[int(key) * most + number for key, number in order],
        )
        return refused

    def rows(self, questions: Sequence[Question], answers: Mapping[str, Sequence[Rated]]) -> list[dict[str, Any]]:
        """Id, input, given scores where rows have any, scores and expected values, answer, tokens, whether it was cut.

        Where the scale has several dimensions, `score/DIMENSION` is the score of one. Of several models the scores.
        """

        def alone(only: Rated) -> dict[str, Any]:
            expected = columns(self.task, "expected", only.expected)
            return {**expected, "answer": only.text, "tokens": only.tokens, "cut": only.cut}

        made = rated_rows(self.task, questions, answers, alone)
        if len(answers) > 1:
            for place, row in enumerate(made):
                scores = [of_model[place].scores for of_model in answers.values()]
                row["same"] = all(each == scores[0] for each in scores)
        return made

    def figures(self, questions: Sequence[Question], answers: Sequence[Rated]) -> dict[str, float]:
        """The share of scores that could be read; where every row has its scores, how near they come (the headline)."""
        scores = [score is not None for answer in answers for score in answer.scores.values()]
        found = {"parse_rate": float(np.mean(scores))}
        asked = [part for question in questions for part in question.asked]
        if len(asked) == len(answers) and all(q.example and self.task.given(q.example) for q in questions):
            found[self.task.headline] = self.task.score([a.text for a in answers], asked).values[self.task.headline]
        return found


def rated_rows(
    task: Scoring,
    questions: Sequence[Question],
    answers: Mapping[str, Sequence[R]],
    alone: Callable[[R], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Id, input, given scores where rows have any, and the scores: of one model, or of several side by side.

    Args:
        alone: what stands beside the scores of a single model.
    """
    given = [task.given(question.example) if question.example else {} for question in questions]
    made = []
    for place, question in enumerate(questions):
        example = question.example
        row: dict[str, Any] = {"id": question.id, "input": (example.context or example.question) if example else ""}
        if any(given):
            row |= columns(task, "given", given[place])
        said = {name: of_model[place] for name, of_model in answers.items()}
        if len(said) == 1:
            [only] = said.values()
            row |= columns(task, "score", only.scores) | alone(only)
        else:
            for name, each in said.items():
                row |= {f"{column} of {name}": v for column, v in columns(task, "score", each.scores).items()}
        made.append(row)
    return made


def columns(task: Scoring, kind: str, values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Numbers of a row by column: `kind`, or where there are several dimensions `kind/DIMENSION` of each."""
    names = list(task.scale.dimensions) if task.scale else list(values)
    return {kind if len(names) == 1 else f"{kind}/{name}": values.get(name) for name in names}


def _joined(parts: Mapping[int, Rated]) -> Rated:
    """The answers to the prompts of one row as one, in the order of the prompts."""
    said = [parts[number] for number in sorted(parts)]
    return Rated(
        "\n\n".join(each.text for each in said),
        sum(each.tokens for each in said),
        any(each.cut for each in said),
        {name: score for each in said for name, score in each.scores.items()},
        {name: value for each in said for name, value in each.expected.items()},
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
