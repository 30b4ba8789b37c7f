"""What a task is: how an example is put to a chat model, how an answer is scored, and what of it is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from predictor.catalog import Catalog
from predictor.config import NoSettings
from predictor.config.sections import settings_class
from predictor.data.example import Example, Message
from predictor.errors import SchemaError
from predictor.metrics.standard_error import bernoulli_se, bootstrap_se, mean_se
from predictor.schema import keys
from predictor.schema.targets import Target, declare


@dataclass(frozen=True)
class TaskScores:
    """Scores of one evaluation, by the names of the task's targets.

    Attributes:
        values: name → value, in its target's unit.
        rows: name → one number for each question, in the order of the questions, for those that have it.
        resample: name → from positions of questions, (n,), to the value on these questions alone; for what is no mean
            of its rows (macro-F1, a correlation, BLEU of a corpus, perplexity).
        errors: name → standard error, for targets whose error is `given`.
        signatures: name → everything that the value depends on beside the texts, as its library writes it.
        account: JSON values for a page or figures of the task's own.
    """

    values: Mapping[str, float]
    rows: Mapping[str, Sequence[float]] = field(default_factory=dict)
    resample: Mapping[str, Callable[[np.ndarray], float]] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)
    account: Mapping[str, Any] = field(default_factory=dict)

    def joined(self, other: TaskScores) -> TaskScores:
        """These and others of the same questions."""
        mine, others = vars(self), vars(other)
        return TaskScores(**{name: {**mine[name], **others[name]} for name in mine})


@dataclass(frozen=True)
class Wanted:
    """Texts of which a task asks how likely a model finds them as the rest of its answer.

    Attributes:
        beginning: of the answer, empty for none. texts: what may follow it; only what they differ in need be looked at.
        ended: the answer ends with the text, so that the end of the turn counts to it.
    """

    beginning: str
    texts: tuple[str, ...]
    ended: bool = True


@dataclass(frozen=True)
class Heard:
    """What a task may use to score answers beside the answers.

    Attributes:
        losses: for each question, each :class:`Wanted` and each of its texts, its tokens' losses in nats, (tokens,).
        encode: unit vectors of texts by the sentence encoder, (texts, width).
        everyday: ordinary text, against which a field's own words stand out.
    """

    losses: Sequence[Sequence[Sequence[np.ndarray]]]
    encode: Callable[[Sequence[str]], np.ndarray]
    everyday: Sequence[str]


class Task(Protocol):
    """The few members by which the fine-tune, the probe and the evaluation know a task.

    A task that has something to set names the dataclass of its section as `settings`, and its class takes an instance.

    A task may have further members, each of which is asked for only where it is there:

    - `fields`: name of a field in the files → the name by which formats know it.
    - `fitted(train, evaluation)`: the task that knows these rows, and the rows as it wants them; what is wrong with
      them as a whole it says here, before anything is loaded.
    - `learn_from(train, evaluations)`: the task that knows what these training rows have and the rows to be evaluated
      must not have besides (classes); asked when the parts are made, whatever they are made from.
    - `settled(train, evaluation)`: settings that say what it finds in the rows, for fine-tunes on parts of them.
    - `found()`: what it has found in its rows, as JSON values, and `with_found(found)`: the task that knows that
      without the rows. It is kept beside the weights, for who asks the model later.
    - `wants(example, generated)`: the :class:`Wanted` of a question, and `score_heard(answers, examples, heard)`: as
      `score`, with what was heard besides. The headline does not depend on it, unless `headline_is_heard` is true.
    - `numbers(examples)` and `floor_scores(predicted, examples)`: what a ridge on embeddings and lengths is fitted to,
      and the scores of what it says; or `with_floor(scores, train, scored)`: the scores with a floor of the task's own.
    - `learns_every_turn = True`: the assistant's earlier turns are learnt as the last one is.
    - what :class:`ReadsReferences` has.
    """

    name: str
    targets: tuple[Target, ...]
    """Everything that it may report; an evaluation may leave out those that its questions do not allow."""
    headline: str
    """The target that a predictor is trained on by default: the name of one of them, which every evaluation has."""
    max_new_tokens: int
    """An answer longer than this is cut when generating."""

    def accepts(self, example: Example) -> str | None:
        """None when the example can be used, otherwise what it lacks."""
        ...

    def prompt(self, example: Example) -> list[Message]:
        """The chat turns before the answer."""
        ...

    def target(self, example: Example) -> str:
        """The assistant's turn that is trained on."""
        ...

    def parse(self, generated: str) -> str:
        """The answer inside the text that the model generated."""
        ...

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> TaskScores:
        """Scores of parsed answers against the examples' references, in the same order."""
        ...

    def row(self, example: Example, answer: str, scores: Mapping[str, float]) -> dict[str, object]:
        """Column → what the table of predictions shows of one question, as JSON values.

        The columns are the same for every question of an evaluation.

        Args:
            scores: the numbers of this question by name, from the rows of :class:`TaskScores`.
        """
        ...


class ReadsReferences(Protocol):
    """What a task has besides that also scores what the model makes of the right answers, token by token."""

    from_references: tuple[str, ...]
    """The targets whose values :meth:`score_references` gives, by name."""

    def score_references(self, losses: Sequence[np.ndarray], examples: Sequence[Example]) -> TaskScores:
        """Scores of the losses, in nats, of the tokens that each example's row would teach, (tokens,) each."""
        ...


def reads_references(task: Task) -> ReadsReferences | None:
    """The task as one that scores the model's losses on the right answers; None when it does not."""
    return cast(ReadsReferences, task) if hasattr(task, "score_references") else None


def learns_every_turn(task: Task) -> bool:
    """Whether the assistant's earlier turns of a conversation are learnt as the last one is."""
    return bool(getattr(task, "learns_every_turn", False))


TASKS: Catalog[Task] = Catalog("task")
"""The tasks by the names that `-P task=…` accepts."""

T = TypeVar("T", bound=type)


def register(task: T) -> T:
    """Decorator of a task's class: the task becomes known, and its targets with it.

    Raises:
        ValueError: its name is taken, its headline is none of its targets, or a target is known as something else.
    """
    made: Task = task()
    if made.headline not in {target.name for target in made.targets}:
        raise ValueError(f"task '{made.name}': its headline '{made.headline}' is none of its targets")
    if made.name in TASKS:
        raise ValueError(f"task '{made.name}' is registered twice")
    declare(made.targets)
    TASKS.add(made.name, made)
    return task


def configured(name: str, settings: Any) -> Task:
    """The task of a name, with the settings of its section.

    Raises:
        ConfigError: the task is unknown.
    """
    known = TASKS.get(name, where="-P task")
    if settings_class(known) is NoSettings:
        return known
    made: Callable[[Any], Task] = type(known)
    return made(settings)


def found_by(task: Task) -> dict[str, Any]:
    """What a task has found in its rows, as JSON values; nothing of one that looks for nothing."""
    found: dict[str, Any] = task.found() if hasattr(task, "found") else {}
    return found


def restored(name: str, settings: Mapping[str, Any], found: Mapping[str, Any]) -> Task:
    """The task as a fine-tune had it, from what was kept of it.

    Args:
        settings: the values of its section; those of another version of the package are left out.
        found: what :func:`found_by` gave.

    Raises:
        ConfigError: the task is unknown.
    """
    section = settings_class(TASKS.get(name, where="-P task"))
    known = {each.name for each in fields(section)}
    task: Any = configured(name, section(**{key: value for key, value in settings.items() if key in known}))
    made: Task = task.with_found(found) if found and hasattr(task, "with_found") else task
    return made


def headline_target(task: Task) -> Target:
    """The target that a predictor is trained on by default."""
    return next(target for target in task.targets if target.name == task.headline)


def reported(task: Task, scores: TaskScores, n: int) -> dict[str, float]:
    """What is logged of an evaluation on n questions: each value, `n`, and `<name>_se` by the target's own rule.

    A standard error that cannot be known is NaN; one that nobody gave is left out.

    Raises:
        SchemaError: a value that the task does not declare or that breaks its bounds, or no headline.
    """
    targets = {target.name: target for target in task.targets}
    targets |= {name: part for name in scores.values if name not in targets and (part := part_of(name, targets))}
    rule = f"the targets of the task: {', '.join(targets)}"
    if task.headline not in scores.values:
        raise SchemaError(f"task '{task.name}' did not score its headline '{task.headline}'", rule=rule)
    found: dict[str, float] = {}
    errors: dict[str, float] = {}
    for name, value in scores.values.items():
        if name not in targets:
            raise SchemaError(f"task '{task.name}' scored '{name}', which it does not declare", rule=rule)
        if not targets[name].inside(value):
            raise SchemaError(f"task '{task.name}' scored {name} = {value:g}", rule=f"{name} is {targets[name].range}")
        found[name] = float(value)
        error = _error(targets[name], scores, n)
        if error is not None:
            errors[name + keys.SE] = error
    return {**found, "n": float(n), **errors}


def part_of(name: str, targets: Mapping[str, Target]) -> Target | None:
    """The target of one part, as of one dimension or one task of several: `mae/growth` of `mae`; None of another name.

    Its error is given.
    """
    whole, slash, part = name.partition("/")
    return replace(targets[whole], name=name, error="given") if slash and part and whole in targets else None


def _error(target: Target, scores: TaskScores, n: int) -> float | None:
    name = target.name
    if target.error == "bernoulli":
        return bernoulli_se(scores.values[name], n)
    if target.error == "mean":
        return mean_se(scores.rows[name])
    if target.error == "bootstrap":
        if name in scores.resample:
            return bootstrap_se(scores.resample[name], n)
        rows = np.asarray(scores.rows[name], dtype=float)
        return bootstrap_se(lambda sample: float(rows[sample].mean()), n)
    return scores.errors.get(name)
