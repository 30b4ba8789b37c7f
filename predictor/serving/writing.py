"""Models that write: prompts in, generated answers out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

import numpy as np

from predictor.data.example import Message
from predictor.data.rejection import Rejection, refused_example
from predictor.errors import ModelError
from predictor.models.generate import generate
from predictor.models.render import render_turns
from predictor.models.sampling import Sampling
from predictor.models.shape import context_length
from predictor.progress import Progress
from predictor.serving.opening import Opened
from predictor.serving.questions import Question
from predictor.tasks.base import Task

GREEDY: Final = Sampling()
"""The likeliest token each time."""


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        text: as the task reads it.
        tokens: that were generated. cut: it was longer, and cut.
    """

    text: str
    tokens: int
    cut: bool


@dataclass(frozen=True)
class Writing:
    """Questions to models that write.

    Attributes:
        task: reads the answer out of the text; None takes the text without surrounding white space.
        sampling: how tokens are chosen.
        most: tokens of an answer; a longer one is cut, which its row says.
    """

    task: Task | None
    sampling: Sampling = GREEDY
    most: int = 256
    answer: ClassVar[type[Answer]] = Answer

    def settings(self) -> dict[str, Any]:
        """Longest answer, how tokens are chosen, and the task."""
        return {"most": self.most, "sampling": asdict(self.sampling), "task": self.task.name if self.task else ""}

    def ask(
        self,
        opened: Opened,
        questions: Mapping[str, Question],
        keep: Callable[[Mapping[str, Answer]], None],
        progress: Progress,
    ) -> dict[str, Rejection]:
        """Answer questions; those whose prompt leaves no room for an answer come back."""
        tokenizer = opened.base.tokenizer
        prompts, refused = rendered(
            opened, {key: [each.turns] for key, each in questions.items()}, questions, self.most
        )
        order = list(prompts)
        progress.stage(f"answers of {opened.name}", len(order))

        def parsed(places: Sequence[int], answers: Sequence[list[int]]) -> None:
            texts = tokenizer.batch_decode(list(answers), skip_special_tokens=True)
            made = {}
            for place, ids, text in zip(places, answers, texts, strict=True):
                said = self.task.parse(text) if self.task else text.strip()
                made[order[place]] = Answer(said, len(ids), len(ids) >= self.most)
            keep(made)

        generate(
            opened.model,
            tokenizer,
            [ids for [ids] in prompts.values()],
            max_new_tokens=self.most,
            on_batch=lambda rows: progress.advance(rows),
            on_answers=parsed,
            sampling=self.sampling,
            numbers=[int(key) for key in order],
        )
        return refused

    def rows(self, questions: Sequence[Question], answers: Mapping[str, Sequence[Answer]]) -> list[dict[str, Any]]:
        """Id, prompt, reference where there is one, answer, tokens, whether it was cut; of several models answers."""
        return [
            _row(question, {name: said[place] for name, said in answers.items()})
            for place, question in enumerate(questions)
        ]

    def figures(self, questions: Sequence[Question], answers: Sequence[Answer]) -> dict[str, float]:
        """The share of right classes, of a model that writes them, where every row has its own."""
        if not all(question.label for question in questions):
            return {}
        pairs = zip(questions, answers, strict=True)
        return {"accuracy": float(np.mean([answer.text == question.label for question, answer in pairs]))}


def rendered(
    opened: Opened, prompts: Mapping[str, Sequence[Sequence[Message]]], questions: Mapping[str, Question], most: int
) -> tuple[dict[str, list[list[int]]], dict[str, Rejection]]:
    """The prompts of each question as token ids, and the questions that cannot be put to the model, with the reason.

    Args:
        prompts: turns of each prompt, by the key of its question.
        most: tokens of an answer, for which each prompt must leave room.

    Raises:
        ModelError: the model has a head and writes nothing.
    """
    if opened.classifier is not None:
        raise other_kind(f"{opened.name} says classes, and the model before it writes answers")
    tokenizer, room = opened.base.tokenizer, context_length(opened.base.model.config)
    found: dict[str, list[list[int]]] = {}
    refused: dict[str, Rejection] = {}
    for key, of_question in prompts.items():
        question = questions[key]
        try:
            ids = [render_turns(turns, tokenizer) for turns in of_question]
        except Exception as error:  # what a template cannot put, it says with jinja's own family of errors
            refused[key] = refusal(question, opened, "not_for_task", "turns that the chat template knows", str(error))
            continue
        longest = max(map(len, ids))
        if not all(ids) or longest + most > room:
            expected = f"at most {room} tokens, {most} of them for the answer"
            refused[key] = refusal(question, opened, "over_max_length", expected, f"{longest} tokens of prompt")
        else:
            found[key] = ids
    return found, refused


def refusal(question: Question, opened: Opened, code: str, expected: str, found: str) -> Rejection:
    """A question that a model cannot be asked, with its content."""
    if question.example is not None:
        return refused_example(question.example, opened.name, code, expected, found)
    turns = [{"role": turn.role, "content": turn.content} for turn in question.turns]
    return Rejection(code, opened.name, f"id {question.id}", "", expected, found, {"messages": turns})


def other_kind(what: str) -> ModelError:
    """The error of a model that is compared with one of another kind."""
    return ModelError(
        what,
        where="-P compare",
        rule="models that are compared all write answers, or are all classifiers",
        fix="ask them one by one with -P model=…",
    )


def _row(question: Question, answers: Mapping[str, Answer]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": question.id, "prompt": question.shown}
    if question.reference:
        row["reference"] = question.reference
    if len(answers) == 1:
        [answer] = answers.values()
        return {**row, "answer": answer.text, "tokens": answer.tokens, "cut": answer.cut}
    row |= {f"answer of {name}": answer.text for name, answer in answers.items()}
    return {**row, "same": len({answer.text for answer in answers.values()}) == 1}
