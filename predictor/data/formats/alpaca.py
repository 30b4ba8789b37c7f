"""Alpaca: instruction, optional input and output, with an optional system prompt and history of earlier turns."""

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
from predictor.data.record import Record
from predictor.data.rejection import shown

INSTRUCTION = ("instruction", "指令")
INPUT = ("input", "context")
OUTPUT = ("output", "response", "answer", "输出")


class Alpaca:
    """`question` is the instruction, `context` the input; with a system prompt or history, `messages` has all turns."""

    name = "alpaca"
    needs = "instruction, output and, optionally, input"

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """A claim when rows hold an instruction and an output, by any name that is known for them."""
        known = 0
        for value in sample:
            if isinstance(value, dict):
                names = keyed(value)
                known += bool(find(names, INSTRUCTION) and find(names, OUTPUT))
        if not known:
            return None
        reason = f"{known} of {len(sample)} sampled rows hold 'instruction' and 'output'"
        return Guess(known / len(sample), reason, guarded(_convert))

    def lacks(self, example: Example) -> str | None:
        """Beside an output and an instruction, turns that alternate: there is room for pairs only, none for tools."""
        if not example.answers:
            return "an output"
        if example.question is None and not (example.messages or example.text):
            return "an instruction"
        roles = [message.role for message in _turns(example)]
        if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
            return "turns that alternate between user and assistant, without tools"
        return None

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """The context becomes `input`, a system prompt `system`, earlier turns `history`.

        A last turn that is not put together from instruction and context is the instruction as a whole.
        """
        for example in examples:
            extra = dict(example.extra)
            *past, last = _turns(example)
            asks, context = example.question or example.text, example.context
            if asks is None or (example.messages and last.content != _asked(asks, context)):
                asks, context = last.content, None
            row: dict[str, Any] = {"id": example.id, "instruction": asks, "input": context or ""}
            row["output"] = example.answer
            if example.messages and example.messages[0].role == "system":
                row["system"] = example.messages[0].content
            if past:
                pairs = zip(past[::2], past[1::2], strict=True)
                row["history"] = [[asked.content, answered.content] for asked, answered in pairs]
            yield row | extra


def _turns(example: Example) -> list[Message]:
    """The turns before the answer without the system prompt."""
    if not example.messages:
        return [Message("user", "")]
    return list(example.messages[1:] if example.messages[0].role == "system" else example.messages)


def _asked(instruction: str, context: str | None) -> str:
    return f"{instruction}\n{context}" if context else instruction


def _convert(record: Record) -> Example:
    value = object_of(record)
    names = keyed(value)
    instruction_key, output_key, input_key = find(names, INSTRUCTION), find(names, OUTPUT), find(names, INPUT)
    if instruction_key is None:
        missing("instruction", "'instruction'", value)
    if output_key is None:
        missing("output", "'output'", value)
    given = value[input_key] if input_key is not None else None
    context = text_of(given, str(input_key)) if given is not None else ""
    instruction = text_of(value[instruction_key], instruction_key)
    if not instruction.strip():
        instruction, context = context, ""  # rows that leave the instruction blank ask in their input
    filled(instruction, "empty_prompt", instruction_key, "an instruction")
    output = filled(text_of(value[output_key], output_key), "empty_answer", output_key, "an answer")
    system, history = value.get("system"), value.get("history")
    messages: tuple[Message, ...] = ()
    if system or history:
        messages = (*_earlier(system, history), Message("user", _asked(instruction, context)))
    return Example(
        id=row_id(value, record),
        answers=(output,),
        context=context or None,
        question=instruction,
        messages=messages,
        group=passage_group(context) if context.strip() else None,
        extra=rest_of(value, (instruction_key, output_key, input_key, "system", "history")),
    )


def _earlier(system: Any, history: Any) -> list[Message]:
    turns = [Message("system", text_of(system, "system"))] if system else []
    if history is not None and not isinstance(history, list):
        raise Unusable("wrong_type", "history", "a list of [instruction, output] pairs", shown(history))
    for index, pair in enumerate(history or []):
        if not isinstance(pair, list) or len(pair) != 2:
            raise Unusable("wrong_type", f"history[{index}]", "a pair of texts", shown(pair))
        turns += [Message(role, text_of(text, f"history[{index}]")) for role, text in zip(("user", "assistant"), pair)]  # noqa: B905
    return turns
