"""Several tasks in one fine-tune: each row is put, parsed and scored by its own, and each task is reported apart."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.config import coerce, known_parameter, own_parameters, param
from predictor.config.sections import settings_class
from predictor.data.example import Example, Message
from predictor.data.operators.join import TASK
from predictor.errors import ConfigError, DataError
from predictor.schema import keys
from predictor.schema.targets import Target
from predictor.tasks.base import TASKS, Heard, Task, TaskScores, Wanted, configured, headline_target, register, reported

_RULE = """{"NAME": {"task": "qa", …its settings}}, a name for each task of a join:NAME:DATASET,…"""


@dataclass(frozen=True)
class SeveralSettings:
    """Section `several`."""

    several_members: str = param("", f"the tasks as JSON: {_RULE}", listed=False)


@register
class Several:
    """Rows of a `join:` of datasets; a row's own task does everything, the headline is the mean of their headlines."""

    name = "several"
    headline = "overall"
    settings = SeveralSettings

    def __init__(self, settings: SeveralSettings | None = None, members: Mapping[str, Task] | None = None) -> None:
        self._settings = settings or SeveralSettings()
        text = self._settings.several_members
        self.members = dict(members) if members is not None else _members(text) if text else {}
        overall = Target("overall", "the mean of the tasks' headlines", low=0.0, high=1.0, error="given")
        others = {target.name: target for member in self.members.values() for target in member.targets}
        self.targets: tuple[Target, ...] = (overall, *others.values())
        self.max_new_tokens = max((member.max_new_tokens for member in self.members.values()), default=1)
        self.fields = {k: v for m in self.members.values() for k, v in getattr(m, "fields", {}).items()}
        self.headline_is_heard = any(getattr(m, "headline_is_heard", False) for m in self.members.values())

    def fitted(
        self, train: Sequence[Example], evaluation: Sequence[Example]
    ) -> tuple[Several, Sequence[Example], Sequence[Example]]:
        """The task whose members know their rows.

        Raises:
            DataError: nothing is scored of a task.
        """
        members: dict[str, Task] = {}
        rows: list[list[Example]] = [[], []]
        for name, member in self.members.items():
            own: list[Sequence[Example]] = [
                [each for each in part if _name(each) == name] for part in (train, evaluation)
            ]
            if not own[1]:
                raise DataError(
                    f"the evaluation has no row of the task '{name}'",
                    where="-P eval_dataset",
                    rule="each task is scored: join:NAME:DATASET,… names all of them",
                )
            if fit := getattr(member, "fitted", None):
                member, *own = fit(*own)
            members[name] = member
            for held, part in zip(rows, own, strict=True):
                held += part
        # Rows stay in their order, unless a task has made others of them.
        kept = [
            given if len(given) == len(made) else made for given, made in zip((train, evaluation), rows, strict=True)
        ]
        return Several(self._settings, members), kept[0], kept[1]

    def accepts(self, example: Example) -> str | None:
        """None when its own task can use the example, otherwise what it lacks."""
        if _name(example) not in self.members:
            return f"is of no task of {', '.join(self.members) or 'several_members'}"
        return self._of(example).accepts(example)

    def prompt(self, example: Example) -> list[Message]:
        """The turns of the row's own task."""
        return self._of(example).prompt(example)

    def target(self, example: Example) -> str:
        """The answer of the row's own task."""
        return self._of(example).target(example)

    def parse(self, generated: str) -> str:
        """The generated text; each task parses its own when it scores."""
        return generated.strip()

    def score(self, answers: Sequence[str], examples: Sequence[Example]) -> TaskScores:
        """Scores of each task as `<score>/<task>`, and the mean of the headlines.

        Raises:
            DataError: nothing to score, or unequal numbers of answers and examples.
        """
        return self._scores(answers, examples, lambda member, places, own: member.score(*own))

    def wants(self, example: Example, generated: str) -> Sequence[Wanted]:
        """What its own task wants to know; nothing where it wants nothing."""
        asked: Callable[..., Sequence[Wanted]] | None = getattr(self._of(example), "wants", None)
        return asked(example, generated) if asked else ()

    def score_heard(self, answers: Sequence[str], examples: Sequence[Example], heard: Heard) -> TaskScores:
        """As :meth:`score`, each task with what was heard for its rows."""

        def scored(member: Any, places: Sequence[int], own: tuple[list[str], list[Example]]) -> TaskScores:
            if not hasattr(member, "score_heard"):
                return member.score(*own)
            part = dataclasses.replace(heard, losses=[heard.losses[place] for place in places])
            return member.score_heard(*own, part)

        return self._scores(answers, examples, scored)

    def row(self, example: Example, answer: str, scores: Mapping[str, float]) -> dict[str, object]:
        """Task, the end of what was asked, what was learnt to be said, the answer, and its task's headline."""
        asked = self.prompt(example)[-1].content
        return {
            "task": _name(example),
            "input": asked[-200:],
            "wanted": self.target(example),
            "answer": answer,
            **{name: value for name, value in scores.items() if name == "overall"},
        }

    def numbers(self, examples: Sequence[Example]) -> dict[str, tuple[list[int], list[float]]]:
        """The numbers of those tasks that have any, as `<task>/<part>`."""
        found = {}
        for name, member, places in self._parts(examples):
            if hasattr(member, "numbers"):
                for part, (own, values) in member.numbers([examples[place] for place in places]).items():
                    found[f"{name}/{part}"] = [places[each] for each in own], values
        return found

    def floor_scores(self, predicted: Mapping[str, np.ndarray], examples: Sequence[Example]) -> TaskScores:
        """The scores of other predictions, of those tasks that have numbers."""
        scores = TaskScores({})
        for name, member, places in self._parts(examples):
            own = {key.removeprefix(f"{name}/"): each for key, each in predicted.items() if key.startswith(f"{name}/")}
            if own and hasattr(member, "floor_scores"):
                found = member.floor_scores(own, [examples[place] for place in places])
                scores = scores.joined(_renamed(found.values, found.errors, name))
        return scores

    def _scores(
        self, answers: Sequence[str], examples: Sequence[Example], score: Callable[..., TaskScores]
    ) -> TaskScores:
        if not examples or len(answers) != len(examples):
            raise DataError(
                f"{len(answers)} answers cannot be scored against {len(examples)} questions",
                rule="one answer for each question, and at least one question",
            )
        scores, account = TaskScores({}), {}
        headlines, errors = [], []
        own_headline = [math.nan] * len(examples)
        for name, member, places in self._parts(examples):
            own = [member.parse(answers[place]) for place in places], [examples[place] for place in places]
            found = score(member, places, own)
            told = reported(member, found, len(places))
            values = {each: found.values[each] for each in found.values}
            said = {each: told[each + keys.SE] for each in values if each + keys.SE in told}
            scores = scores.joined(_renamed(values, said, name))
            headlines.append(values[member.headline])
            errors.append(said.get(member.headline, math.nan))
            account[name] = dict(found.account)
            for place, value in zip(places, found.rows.get(member.headline, ()), strict=False):
                own_headline[place] = float(value)
        overall = TaskScores(
            {"overall": float(np.mean(headlines))},
            {"overall": own_headline},
            errors={"overall": math.sqrt(sum(error * error for error in errors)) / len(errors)},
            account={"tasks": account},
        )
        return scores.joined(overall)

    def _of(self, example: Example) -> Task:
        return self.members[_name(example)]

    def _parts(self, examples: Sequence[Example]) -> Iterator[tuple[str, Any, list[int]]]:
        for name, member in self.members.items():
            if places := [place for place, example in enumerate(examples) if _name(example) == name]:
                yield name, member, places


def members_text(members: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of `several_members` for tasks by name, each `task` with its settings."""
    return json.dumps({name: dict(member) for name, member in members.items()}, sort_keys=True)


def _name(example: Example) -> str:
    return str(example.extra.get(TASK, ""))


def _renamed(values: Mapping[str, float], errors: Mapping[str, float], member: str) -> TaskScores:
    """`mae` and `mae/growth` of a member `a` are `mae/a` and `mae/a/growth`."""

    def put(name: str) -> str:
        whole, slash, part = name.partition("/")
        return f"{whole}/{member}{slash}{part}"

    return TaskScores(
        {put(name): value for name, value in values.items()}, errors={put(name): each for name, each in errors.items()}
    )


def _members(text: str) -> dict[str, Task]:
    try:
        given = json.loads(text)
        parts = {str(name): dict(member) for name, member in given.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            "several_members is no JSON of tasks", where=f"-P several_members={text}", rule=_RULE
        ) from error
    return {name: _member(name, member) for name, member in parts.items()}


def _member(name: str, given: dict[str, Any]) -> Task:
    where = f"several_members, {name}"
    kind = str(given.pop("task", ""))
    cls = settings_class(TASKS.get(kind, where=where))
    known = own_parameters(cls)
    values = {
        each: coerce(known_parameter(each, known, "setting", where), value, where) for each, value in given.items()
    }
    if values.get("head", "none") != "none":
        raise ConfigError(
            f"head={values['head']} is given for a task among several",
            where=where,
            rule="several tasks share one model, which writes its answers",
            fix="leave head out, or train the task with its head alone",
        )
    task = configured(kind, cls(**values))
    target = headline_target(task)
    if (target.low, target.high, target.higher_is_better) != (0.0, 1.0, True):
        raise ConfigError(
            f"the headline of task={kind} ({target.name}) cannot be averaged with others",
            where=where,
            rule="headlines of several tasks are fractions from 0 to 1, of which higher is better",
        )
    return task
