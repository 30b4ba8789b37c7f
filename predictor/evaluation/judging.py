"""Answers marked by another chat model: not what it writes, but what it expects its mark to be.

The mark of an answer is Σ p(m)·m over the marks 1 to 5, p in proportion to their likelihood where the judge's answer
begins: finer than the mark it would write, and always there (Liu et al. 2023, "G-Eval: NLG Evaluation using GPT-4 with
Better Human Alignment").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from predictor.data.example import Example, Message, transcript
from predictor.errors import ConfigError
from predictor.evaluation.paired import Paired, paired
from predictor.tasks.base import Task

JUDGED: Final = "judged"
"""The name of the marks among the scores of a task."""
MARKS: Final = ("1", "2", "3", "4", "5")
PARTS: Final = ("question", "answer", "reference")
"""What a prompt may name in braces."""
PROMPT: Final = (
    "Question:\n{question}\n\nA right answer:\n{reference}\n\nThe answer of a student:\n{answer}\n\n"
    "How good is the student's answer, from 1 (useless) to 5 (as good as the right one)? Reply with one number."
)


@dataclass(frozen=True)
class Judge:
    """A chat model that marks answers.

    Attributes:
        name: as the user named it. prompt: with `{question}`, `{answer}` and, where it is shown, `{reference}`.
    """

    name: str
    model: Any
    tokenizer: Any
    prompt: str = PROMPT


OpenJudge = Callable[[], AbstractContextManager[Judge]]
"""Lends the judge: it may be the base itself, whose adapter is switched off meanwhile."""


@dataclass(frozen=True)
class Judged:
    """Marks as shares of their range, in [0, 1]; NaN of a row that the judge cannot read.

    Attributes:
        base, tuned: of the answers, (n,) each.
        right, wrong: of the right answers, and of those of other rows in their place, (n,) each.
    """

    judge: str
    base: np.ndarray
    tuned: np.ndarray
    right: np.ndarray
    wrong: np.ndarray

    @property
    def read(self) -> np.ndarray:
        """Positions of the rows whose two answers have a mark."""
        return np.flatnonzero(np.isfinite(self.base + self.tuned))

    @property
    def score(self) -> Paired | None:
        """Base beside fine-tune on the rows that were read; None of none."""
        read = self.read
        return paired(self.base[read].tolist(), self.tuned[read].tolist()) if len(read) else None

    @property
    def sense(self) -> float:
        """How often the judge marks the right answer above one of another row, ties as half: 0.5 knows nothing.

        NaN where no row could be read both ways.
        """
        known = np.isfinite(self.right + self.wrong)
        gains = self.right[known] - self.wrong[known]
        return float(np.mean((gains > 0) + 0.5 * (gains == 0))) if len(gains) else math.nan

    @property
    def note(self) -> str:
        """For people: what the judge is worth, and what it could not read."""
        left = len(self.base) - len(self.read)
        lacking = f"; {left} rows were too long for it" if left else ""
        told = "unknown" if math.isnan(self.sense) else f"{100 * self.sense:.0f} %"
        return (
            f"{JUDGED}: {self.judge} marks a right answer above that of another row in {told} of the rows "
            f"(50 % is a judge that knows nothing){lacking}"
        )


def check_prompt(prompt: str) -> None:
    """Raise ConfigError when a prompt shows no answer, or names what there is not."""
    from string import Formatter

    try:
        named = {name for _, name, _, _ in Formatter().parse(prompt) if name is not None}
        if named <= set(PARTS):
            prompt.format(**dict.fromkeys(PARTS, ""))
    except (ValueError, LookupError, AttributeError) as error:
        named = {f"something that Python cannot fill in ({error})"}
    if "answer" not in named or not named <= set(PARTS):
        raise ConfigError(
            f"the prompt names {', '.join(sorted(named)) or 'nothing'}",
            where="-P judge_prompt",
            rule="{answer}, and if you like {question} and {reference}; a brace itself is written twice",
            fix="-P judge_prompt='How good is {answer}, from 1 to 5?', or leave it out for the usual one",
        )


def marked(
    judge: Judge,
    task: Task,
    examples: Sequence[Example],
    base: Sequence[str],
    tuned: Sequence[str],
    on_batch: Callable[[int], None] = lambda rows: None,
) -> Judged:
    """The marks of both models' answers, and of right ones in and out of place, by which the judge itself is judged.

    Args:
        examples: questions. base, tuned: both models' answers to them.
        on_batch: is told how many marks were given; there are four for each question.
    """
    targets = [task.target(example) for example in examples]
    others = _of_other_rows(targets)
    kinds = (base, tuned, targets, others)
    prompts = [
        _turn(judge.prompt, task, example, answer, target)
        for answers in kinds
        for example, answer, target in zip(examples, answers, targets, strict=True)
    ]
    marks = _marks(judge, prompts, on_batch).reshape(len(kinds), len(targets))
    known = np.where([bool(other) for other in others], marks[3], math.nan)
    return Judged(judge.name, base=marks[0], tuned=marks[1], right=marks[2], wrong=known)


def _of_other_rows(targets: Sequence[str]) -> list[str]:
    """For each row the right answer of the next row that has another one; empty where all are the same."""
    n = len(targets)
    following = (((i + k) % n for k in range(1, n)) for i in range(n))
    return [
        next((targets[place] for place in places if targets[place] != own), "")
        for own, places in zip(targets, following, strict=True)
    ]


def _turn(prompt: str, task: Task, example: Example, answer: str, target: str) -> Message:
    parts = {"question": _told(task.prompt(example)), "answer": answer or "(nothing)", "reference": target}
    return Message("user", prompt.format(**parts))


def _told(turns: Sequence[Message]) -> str:
    """A conversation as text; of one turn its content."""
    if len(turns) == 1:
        return turns[0].content
    return transcript(turns)


def _marks(judge: Judge, prompts: Sequence[Message], on_batch: Callable[[int], None]) -> np.ndarray:
    from predictor.models.render import render_turns
    from predictor.models.shape import context_length
    from predictor.probe.batching import pad_id_of
    from predictor.probe.forks import Fork, fork_sums

    tokenizer = judge.tokenizer
    ids = [render_turns([prompt], tokenizer) for prompt in prompts]
    endings = tokenizer(list(MARKS), add_special_tokens=False)["input_ids"]
    room = context_length(judge.model.config) - max(map(len, endings))
    places = [place for place, row in enumerate(ids) if 0 < len(row) <= room]
    found = np.full(len(ids), math.nan)
    losses = fork_sums(
        judge.model, [Fork(ids[place], endings) for place in places], pad_id=pad_id_of(tokenizer), on_batch=on_batch
    )
    shares = np.linspace(0.0, 1.0, len(MARKS))
    for place, row in zip(places, losses, strict=True):
        weights = np.exp(row.min() - row)
        found[place] = float(weights @ shares / weights.sum())
    return found
