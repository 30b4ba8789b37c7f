"""A model's answers to questions, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from predictor.data.example import Example
from predictor.models.base_model import BaseModel
from predictor.models.generate import generate
from predictor.models.render import render_answers, render_prompts, render_rows
from predictor.probe import Encoder, answer_sequels
from predictor.probe.batching import pad_id_of
from predictor.probe.forks import Fork, fork_losses
from predictor.probe.generic_text import GENERIC_TEXTS
from predictor.probe.scoring import sequel_losses
from predictor.progress import SILENT, Progress
from predictor.tasks import Task, TaskScores, reported
from predictor.tasks.base import Heard, Wanted, reads_references

_SENTENCE: Final = 128
"""Word pieces of a sentence that the encoder reads."""


@dataclass(frozen=True)
class Evaluation:
    """Answers (parsed, and as token ids) to the examples in their order, with their scores by the task.

    Attributes:
        more: further columns of the table, each with a value for every example.
    """

    task: Task
    examples: Sequence[Example]
    answers: Sequence[str]
    answer_ids: Sequence[list[int]]
    scores: TaskScores
    more: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """The scores, the number of questions `n`, and the standard errors by the rules of the task's targets."""
        return reported(self.task, self.scores, len(self.examples))

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows for a person, as the task shows a question."""
        numbers = self.scores.rows
        rows = [
            self.task.row(example, answer, {name: values[i] for name, values in numbers.items()})
            | {name: values[i] for name, values in self.more.items()}
            for i, (example, answer) in enumerate(zip(self.examples, self.answers, strict=True))
        ]
        return list(rows[0]) if rows else [], [list(row.values()) for row in rows]


def evaluate(
    model: Any,
    base: BaseModel,
    task: Task,
    examples: Sequence[Example],
    progress: Progress = SILENT,
    *,
    headline_only: bool = False,
    write: Callable[..., list[list[int]]] = generate,
) -> Evaluation:
    """Greedy answers of `model` (the base or a tuned one) to each example, scored by the task.

    A task that asks for them also gets the model's losses on the right answers.

    Args:
        headline_only: nothing else of the scores is looked at, so that a task hears no more than its headline needs.
        write: has the signature of :func:`~predictor.models.generate.generate`, and what it does with these arguments.
    """
    prompts = render_prompts(examples, task, base.tokenizer)
    ids = write(
        model, base.tokenizer, prompts, max_new_tokens=task.max_new_tokens, on_batch=lambda rows: progress.advance(rows)
    )
    texts = base.tokenizer.batch_decode(ids, skip_special_tokens=True)
    answers = [task.parse(text) for text in texts]
    if hasattr(task, "wants") and (not headline_only or getattr(task, "headline_is_heard", False)):
        asker: Any = task
        wanted = [asker.wants(example, text) for example, text in zip(examples, texts, strict=True)]
        heard = Heard(wanted_losses(model, base, prompts, wanted), Encoder(max_tokens=_SENTENCE).encode, GENERIC_TEXTS)
        scores = asker.score_heard(answers, examples, heard)
    else:
        scores = task.score(answers, examples)
    if not headline_only and (reader := reads_references(task)) is not None:
        scores = scores.joined(reader.score_references(reference_losses(model, base, task, examples), examples))
    return Evaluation(task, examples, answers, ids, scores)


def headline_score(model: Any, base: BaseModel, task: Task, examples: Sequence[Example]) -> float:
    """The headline of :func:`evaluate`. Nothing is generated where it follows from the right answers alone."""
    reader = reads_references(task)
    if reader is not None and task.headline in reader.from_references:
        losses = reference_losses(model, base, task, examples)
        return reader.score_references(losses, examples).values[task.headline]
    return evaluate(model, base, task, examples, headline_only=True).scores.values[task.headline]


def reference_losses(model: Any, base: BaseModel, task: Task, examples: Sequence[Example]) -> list[np.ndarray]:
    """The losses of the tokens that each example's row would teach, in nats, shape (tokens,) each.

    Teacher forced: each token is judged after the right ones before it.
    """
    rows = render_rows(examples, task, base.tokenizer)
    return [nll for nll, _ in sequel_losses(model, answer_sequels(rows), pad_id=pad_id_of(base.tokenizer))]


def wanted_losses(
    model: Any, base: BaseModel, prompts: Sequence[list[int]], wanted: Sequence[Sequence[Wanted]]
) -> list[list[list[np.ndarray]]]:
    """How unlikely the model finds texts as the rest of its answers.

    Args:
        prompts: token ids up to where the answer begins. wanted: of each prompt.

    Returns:
        for each prompt, each wanted and each of its texts the losses in nats, (tokens,), of the tokens in which the
        texts differ; of a single text, of all its tokens after the beginning.
    """
    places = [(row, each) for row, of_row in enumerate(wanted) for each in of_row]
    forks = [_fork(prompts[row], each, base) for row, each in places]
    found: list[list[list[np.ndarray]]] = [[] for _ in wanted]
    for (row, _), losses in zip(places, fork_losses(model, forks, pad_id=pad_id_of(base.tokenizer)), strict=True):
        found[row].append(losses)
    return found


def _fork(prompt: Sequence[int], wanted: Wanted, base: BaseModel) -> Fork:
    """Texts are tokenized whole, as in training: a token may reach over the end of the beginning."""
    ids = render_answers([wanted.beginning + text for text in wanted.texts], base.tokenizer, ended=wanted.ended)
    others = ids if len(ids) > 1 else [ids[0], *render_answers([wanted.beginning], base.tokenizer, ended=False)]
    most = min(*map(len, others), *(len(each) - 1 for each in ids))
    shared = next((at for at in range(most) if len({each[at] for each in others}) > 1), max(0, most))
    return Fork([*prompt, *ids[0][:shared]], [each[shared:] for each in ids])
