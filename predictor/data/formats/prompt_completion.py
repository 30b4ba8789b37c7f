"""Prompt and completion: two texts, or two lists of turns as TRL writes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from predictor.data.containers.values import Unusable
from predictor.data.example import Example, Message
from predictor.data.fingerprint import passage_group
from predictor.data.formats.base import (
    Guess,
    filled,
    find,
    guarded,
    keyed,
    missing,
    object_of,
    rest_of,
    row_id,
    text_of,
)
from predictor.data.formats.messages import prompt_turns
from predictor.data.formats.qa_turn import parse_passage_question
from predictor.data.formats.turns import read_turns
from predictor.data.record import Record

PROMPT = ("prompt", "query", "question", "problem", "input", "user", "human", "source", "问题")
COMPLETION = (
    "completion", "response", "answer", "output", "solution", "target", "assistant", "gpt", "reply", "答案", "回答",
)  # fmt: skip


class PromptCompletion:
    """`question` is the prompt; a prompt that puts a question about a passage also fills `context`."""

    name = "prompt_completion"
    needs = "prompt and completion"

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """A claim when rows hold a prompt and a completion, by any name that is known for them."""
        pairs = [pair for value in sample if (pair := _keys(value))]
        if not pairs:
            return None
        prompt, completion = max(set(pairs), key=pairs.count)
        reason = f"{len(pairs)} of {len(sample)} sampled rows hold '{prompt}' and '{completion}'"
        return Guess(len(pairs) / len(sample), reason, guarded(_convert))

    def lacks(self, example: Example) -> str | None:
        """None for an example with an answer and any prompt: turns, a question, a text or a context."""
        if not example.answers:
            return "a completion"
        if not (example.messages or example.question or example.text or example.context):
            return "a prompt"
        return None

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """Two texts, or two lists of turns where the prompt is more than one turn of the user."""
        for example in examples:
            turns = prompt_turns(example)
            prompt: Any = turns[0].content
            completion: Any = example.answer
            if len(turns) > 1 or turns[0].role != "user":
                prompt = [{"role": role, "content": content} for role, content in turns]
                completion = [{"role": "assistant", "content": example.answer}]
            yield {"id": example.id, "prompt": prompt, "completion": completion, **example.extra}


def _keys(value: Any) -> tuple[str, str] | None:
    if not isinstance(value, dict):
        return None
    names = keyed(value)
    prompt, completion = find(names, PROMPT), find(names, COMPLETION)
    return (prompt, completion) if prompt is not None and completion is not None else None


def _convert(record: Record) -> Example:
    value = object_of(record)
    names = keyed(value)
    prompt, completion = find(names, PROMPT), find(names, COMPLETION)
    if prompt is None:
        missing("prompt", "'prompt'", value)
    if completion is None:
        missing("completion", "'completion'", value)
    asked, answered = value[prompt], value[completion]
    if isinstance(asked, list):
        if isinstance(answered, str):
            answered = [{"role": "assistant", "content": answered}]
        if not isinstance(answered, list) or len(answered) != 1:
            raise Unusable("wrong_type", completion, "one turn of the assistant", f"a {type(answered).__name__}")
        return read_turns([*asked, *answered], prompt, value, (prompt, completion), row_id(value, record))
    text = filled(text_of(asked, prompt), "empty_prompt", prompt, "a prompt")
    answer = filled(text_of(answered, completion), "empty_answer", completion, "an answer")
    extra = rest_of(value, (prompt, completion))
    pair = parse_passage_question(text)
    if pair is None:
        return Example(id=row_id(value, record), answers=(answer,), question=text, extra=extra)
    return Example(
        id=row_id(value, record),
        answers=(answer,),
        context=pair.context,
        question=pair.question,
        messages=(Message("user", text),),  # the prompt as it was written
        group=passage_group(pair.context),
        extra=extra,
    )
