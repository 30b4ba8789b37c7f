"""Base and fine-tune asked the same things: the task, the original tasks, the training rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from predictor.data import Example
from predictor.data.example import Message
from predictor.data.formats.messages import prompt_turns
from predictor.evaluation.choices import ChoiceItem, choose
from predictor.evaluation.compared import compared, row_scores, scaled, share_of_range
from predictor.evaluation.judging import JUDGED, Judged
from predictor.evaluation.measured import OriginalResult, Retention, Subject, TaskResult
from predictor.evaluation.originals import CHAT, CHOICE, HARNESS, TEXT, Original
from predictor.evaluation.overfitting import Rows
from predictor.evaluation.paired import Paired, paired
from predictor.evaluation.settings import Comparison
from predictor.evaluation.shift import manner
from predictor.metrics import rouge
from predictor.progress import SILENT, Progress
from predictor.tasks import TASKS, headline_target
from predictor.tasks.base import Task

if TYPE_CHECKING:
    from predictor.evaluation.likelihood import Beside
    from predictor.evaluation.pair import Pair
    from predictor.models.answers import Evaluation
    from predictor.probe.scoring import Sequel

_ANSWER_TOKENS: Final = 64
"""Tokens of a generated chat answer at most."""
_TOKENS: Final = 1024
"""Tokens of a text, or of a prompt with its answer, that are read at most."""


@dataclass(frozen=True)
class Asked:
    """Both models' answers to the same questions, and what they think of the right ones.

    Attributes:
        base, tuned: answers with their scores.
        sequels: the right answers after their prompts; none where the model writes no tokens.
        looked: their likelihoods.
    """

    base: Evaluation
    tuned: Evaluation
    sequels: Sequence[Sequel]
    looked: Sequence[Beside]

    def losses(self) -> tuple[float, float]:
        """Nats per token of the right answers, of base and tuned; NaN without likelihoods."""
        if not self.looked:
            return math.nan, math.nan
        return _mean([each.base for each in self.looked]), _mean([each.tuned for each in self.looked])


class Chatting:
    """How rows of any shape are put as a chat: as much of a task as rendering needs."""

    def prompt(self, example: Example) -> list[Message]:
        """The row's own turns, or one made from its parts."""
        return list(prompt_turns(example))

    def target(self, example: Example) -> str:
        """The first answer."""
        return example.answer


def ask(pair: Pair, task: Task, examples: Sequence[Example], progress: Progress = SILENT) -> Asked:
    """Both models' answers to examples of a task, and the likelihoods of the right answers.

    Of a fine-tune that writes no tokens (a head that classifies) there are no likelihoods.
    """
    from predictor.evaluation.likelihood import beside
    from predictor.models.answers import evaluate

    with pair.untuned() as model:
        base = evaluate(model, pair.base, task, examples, progress, write=pair.base_answers)
    tuned = evaluate(pair.tuned, pair.base, task, examples, progress)
    writes = pair.tuned.get_output_embeddings() is not None
    sequels = _answer_sequels(pair, task, examples) if writes else []
    return Asked(base, tuned, sequels, beside(pair, sequels) if sequels else [])


def task_result(task: Task, asked: Asked, judged: Judged | None = None) -> TaskResult:
    """The fine-tune's own task out of both models' answers, and of a judge's marks where they have any."""
    scores = compared(task, asked.base.scores, asked.tuned.scores, len(asked.base.examples))
    target = headline_target(task)
    if task.headline not in scores:  # nothing is known of its noise: the values stand alone, and no gain is significant
        values = [each.scores.values[task.headline] for each in (asked.base, asked.tuned)]
        gain = target.sign * (values[1] - values[0])
        nan = math.nan
        alone = Paired(len(asked.base.examples), values[0], values[1], gain, nan, nan, nan, 1.0, 0, 0, 1.0)
        scores = {task.headline: alone, **scores}
    if judged is not None and judged.score is not None:
        scores = {**scores, JUDGED: judged.score}
    return TaskResult(
        task=task.name,
        headline=task.headline,
        scores=scores,
        higher_is_better=target.higher_is_better,
        point=target.point,
        divergence=_mean([each.divergence for each in asked.looked]),
        losses=asked.losses(),
        manner=_manners(asked),
        sense=judged.sense if judged is not None else math.nan,
    )


def rows_table(task: Task, asked: Asked, judged: Judged | None = None) -> tuple[list[str], list[list[Any]]]:
    """Each question with both answers and how it changed, lost rows first: columns and rows for a person."""
    name = row_scores(task, asked.base.scores, asked.tuned.scores)
    sign = next((target.sign for target in task.targets if target.name == name), 1.0)
    found = []
    for i, example in enumerate(asked.base.examples):
        answers = [each.answers[i] for each in (asked.base, asked.tuned)]
        numbers = [
            {each: rows[i] for each, rows in evaluation.scores.rows.items()} for evaluation in (asked.base, asked.tuned)
        ]
        shown = task.row(example, answers[1], numbers[1])
        before = task.row(example, answers[0], numbers[0])
        if judged is not None:
            before[JUDGED], shown[JUDGED] = _mark(judged.base[i]), _mark(judged.tuned[i])
        gain = sign * (numbers[1][name] - numbers[0][name]) if name else 0.0
        change = "won" if gain > 1e-12 else "lost" if gain < -1e-12 else "same"
        varied = {f"base {name}": value for name, value in before.items() if value != shown.get(name)}
        varied["base answer"] = answers[0]
        found.append((("lost", "won", "same").index(change), {"change": change, **shown}, varied))
    columns = list(dict.fromkeys(name for _, row, _ in found for name in row))
    extra = sorted({name for _, _, varied in found for name in varied})
    found.sort(key=lambda each: each[0])
    rows = [
        [
            *(row.get(column) for column in columns),
            # What is not another thing for the base is the same for it.
            *(varied.get(name, row.get(name.removeprefix("base "))) for name in extra),
        ]
        for _, row, varied in found
    ]
    return [*columns, *extra], rows


def _mark(value: float) -> float | None:
    return round(float(value), 3) if math.isfinite(value) else None


def heart_rows(task: Task, train: Asked, other: Asked) -> Rows | None:
    """Training rows beside others, by the headline as a share of its range; None where rows have no number."""
    name = row_scores(task, train.base.scores, train.tuned.scores)
    target = next((target for target in task.targets if target.name == name), None)
    factor = share_of_range(target) if target is not None else None
    if target is None or factor is None or name not in other.base.scores.rows:
        return None

    def shares(asked: Asked) -> tuple[list[float], list[float]]:
        both = (asked.base.scores.rows[name], asked.tuned.scores.rows[name])
        base, tuned = ([target.sign * factor * value for value in rows] for rows in both)
        return base, tuned

    return Rows(shares(train), shares(other), train.losses(), other.losses())


def measure_original(
    pair: Pair, original: Original, settings: Comparison, progress: Progress = SILENT
) -> tuple[OriginalResult, Retention | None]:
    """One original task, and what was retained where its rows have subjects."""
    if original.kind == TEXT:
        return _texts(pair, original), None
    if original.kind == CHAT:
        return _chats(pair, original, settings.generations), None
    if original.kind == CHOICE:
        return _choices(pair, original, progress)
    if original.kind == HARNESS:
        from predictor.evaluation.harness import run_harness

        return run_harness(pair, original, settings.original_limit), None
    return _task(pair, original, progress), None


def retained(items: Sequence[ChoiceItem], base: np.ndarray, tuned: np.ndarray) -> Retention:
    """What the base had right and the fine-tune still has, by subject."""
    subjects = dict.fromkeys(item.subject for item in items)
    of = np.array([item.subject for item in items], dtype=object)
    found = []
    for name in subjects:
        own = of == name
        found.append(_subject(name, base[own], tuned[own]))
    return Retention(_subject("all", base, tuned), tuple(found))


def _subject(name: str, base: np.ndarray, tuned: np.ndarray) -> Subject:
    return Subject(name, len(base), int(base.sum()), int(tuned.sum()), int((base * tuned).sum()))


def _texts(pair: Pair, original: Original) -> OriginalResult:
    from predictor.evaluation.likelihood import text_sequels

    sequels = text_sequels(pair.base.tokenizer, original.texts, _TOKENS)
    return _by_likelihood(pair, original, [sequel for sequel in sequels if sequel is not None])


def _chats(pair: Pair, original: Original, generations: int) -> OriginalResult:
    from predictor.models.generate import generate
    from predictor.models.render import render_prompts

    chatting: Any = Chatting()
    result = _by_likelihood(pair, original, _answer_sequels(pair, chatting, original.examples))
    chosen = original.examples[:generations]
    if not chosen:
        return result
    tokenizer = pair.base.tokenizer
    prompts = [prompt[-_TOKENS:] for prompt in render_prompts(chosen, chatting, tokenizer)]
    overlap, manners = {}, []
    for name in ("base", "tuned"):
        if name == "base":
            with pair.untuned() as model:
                ids = pair.base_answers(model, tokenizer, prompts, max_new_tokens=_ANSWER_TOKENS)
        else:
            ids = generate(pair.tuned, tokenizer, prompts, max_new_tokens=_ANSWER_TOKENS)
        answers = [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
        scores = [
            rouge.rouge(answer, [example.answer])["rouge_l"] for answer, example in zip(answers, chosen, strict=True)
        ]
        overlap[f"rouge_l_{name}"] = float(np.mean(scores))
        manners.append(manner(answers, ids))
    return dataclasses.replace(result, details={**result.details, **overlap}, manner=(manners[0], manners[1]))


def _choices(pair: Pair, original: Original, progress: Progress) -> tuple[OriginalResult, Retention]:
    chosen = choose(pair, original.items, chat=original.chat, on_batch=progress.advance)
    details = {"acc_base": float(chosen.base_sum.mean()), "acc_tuned": float(chosen.tuned_sum.mean())}
    details |= {"acc_norm_base": float(chosen.base.mean()), "acc_norm_tuned": float(chosen.tuned.mean())}
    score = paired(chosen.base.tolist(), chosen.tuned.tolist())
    result = OriginalResult(original.name, original.kind, "share right, by likelihood per byte", score, details)
    return result, retained(original.items, chosen.base, chosen.tuned)


def _task(pair: Pair, original: Original, progress: Progress) -> OriginalResult:
    task: Task = TASKS.get(original.kind)
    examples: Sequence[Example] = original.examples
    if fitted := getattr(task, "fitted", None):  # a task that must know its rows first
        task, _, examples = fitted(examples, examples)
    asked = ask(pair, task, examples, progress)
    scores = compared(task, asked.base.scores, asked.tuned.scores, len(examples))
    target = headline_target(task)
    factor = share_of_range(target)
    if task.headline not in scores or factor is None:
        # A score without bounds is no share of anything; how likely the right answers are is one.
        return _by_likelihood(pair, original, _answer_sequels(pair, task, examples))
    details: dict[str, float] = {}
    for name, score in scores.items():
        details |= {f"{name}_base": score.base, f"{name}_tuned": score.tuned}
    losses = asked.losses()
    details |= {"nll_base": losses[0], "nll_tuned": losses[1]}
    return OriginalResult(
        original.name,
        original.kind,
        target.name,
        scaled(scores[task.headline], factor),
        details,
        _mean([each.divergence for each in asked.looked]),
        _manners(asked),
    )


def _by_likelihood(pair: Pair, original: Original, sequels: Sequence[Sequel]) -> OriginalResult:
    """The probability of a byte as the score, from the likelihood of what is looked at."""
    from predictor.errors import DataError
    from predictor.evaluation.likelihood import beside, bits, byte_probability, bytes_of

    if not sequels:
        raise DataError(
            f"no row of the original task '{original.name}' has a token to be looked at",
            where=original.source,
            rule=f"rows of at most {_TOKENS} tokens with prompt and answer, or texts of two tokens at least",
        )
    looked = beside(pair, sequels)
    sizes = [bytes_of(pair.base.tokenizer, sequel) for sequel in sequels]
    base, tuned = ([bits(float(getattr(each, name).sum())) for each in looked] for name in ("base", "tuned"))
    score = paired(
        [-value for value in base],
        [-value for value in tuned],
        weights=sizes,
        value=lambda mean: byte_probability(-mean),
    )
    tokens, size = sum(len(each.base) for each in looked), sum(sizes)
    details: dict[str, float] = {"tokens": float(tokens)}
    for name, total in (("base", sum(base)), ("tuned", sum(tuned))):
        nll = total * math.log(2.0) / tokens
        details |= {f"nll_{name}": nll, f"bits_per_byte_{name}": total / size}
        details[f"perplexity_{name}"] = math.exp(min(nll, 700.0))
    divergence = _mean([each.divergence for each in looked])
    metric = "probability of a byte, 2^(−bits per byte)"
    return OriginalResult(original.name, original.kind, metric, score, details, divergence)


def _answer_sequels(pair: Pair, task: Any, examples: Sequence[Example]) -> list[Sequel]:
    """The right answers after their prompts, of rows that are not too long."""
    from predictor.models.render import render_rows
    from predictor.probe.scoring import answer_sequels

    rows = render_rows(examples, task, pair.base.tokenizer)
    return answer_sequels([row for row in rows if row.length <= _TOKENS])


def _manners(asked: Asked) -> Any:
    return tuple(manner(each.answers, each.answer_ids) for each in (asked.base, asked.tuned))


def _mean(arrays: Sequence[np.ndarray]) -> float:
    return float(np.concatenate(arrays).mean()) if arrays else math.nan
