"""Chat `messages`: a list of turns with role and content, as OpenAI, TRL and Hugging Face write it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from predictor.data.containers.values import Unusable
from predictor.data.example import Example, Message
from predictor.data.formats.base import Guess, find, guarded, keyed, missing, row_id
from predictor.data.formats.turns import has_turns, read_turns, spoken_by
from predictor.data.record import Record
from predictor.data.rejection import shown

KEYS = ("messages", "message", "conversation", "conversations", "dialog", "dialogue", "turns", "chat")


class Messages:
    """One Example per conversation; a single question about a passage also fills context and question."""

    name = "messages"
    needs = "messages[] with role and content"

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """A claim when rows hold turns with role and content; those with from and value are left to ShareGPT."""
        known = [turns for turns in map(_turns, sample) if turns is not None]
        if not known:
            return None
        reason = f"{len(known)} of {len(sample)} sampled rows hold a list of turns with 'role' and 'content'"
        return Guess(len(known) / len(sample), reason, guarded(_convert))

    def lacks(self, example: Example) -> str | None:
        """None for an example with an answer and something to ask: turns, a question or a text."""
        if not example.answers:
            return "an answer for the assistant's turn"
        if not (example.messages or example.question or example.text):
            return "a prompt for the user's turn"
        return None

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """The turns as the row had them, otherwise made from its parts, with the answer as the last one."""
        for example in examples:
            extra = dict(example.extra)
            own = extra.get("turns")
            if isinstance(own, list) and own and isinstance(own[0], dict) and "role" in own[0]:
                turns = extra.pop("turns")
            else:
                turns = [{"role": message.role, "content": message.content} for message in prompt_turns(example)]
                turns.append({"role": "assistant", "content": example.answer})
            yield {"id": example.id, "messages": turns, **beside(example), **extra}


def beside(example: Example) -> dict[str, Any]:
    """Further reference answers and offsets, which turns have no place for, as SQuAD keeps them."""
    if (len(example.answers) < 2 and not example.answer_starts) or not example.context or not example.question:
        return {}
    starts = list(example.answer_starts) or [-1] * len(example.answers)
    return {"answers": {"text": list(example.answers), "answer_start": starts}}


def prompt_turns(example: Example) -> list[Any]:
    """The turns before the answer: the row's own, or one user turn made from its parts."""
    if example.messages:
        return list(example.messages)
    if example.context is not None and example.question is not None:
        return [Message("user", f"Context: {example.context}\nQuestion: {example.question}")]
    return [Message("user", example.question or example.text or example.context or "")]


def _turns(value: Any) -> Any:
    """The turns of a raw row; None when it has none, or when they are ShareGPT's."""
    if isinstance(value, list):
        return value if has_turns(value) else None
    if not isinstance(value, dict):
        return None
    key = find(keyed(value), KEYS)
    turns = value[key] if key is not None else None
    if isinstance(turns, dict) and len(turns) == 1:
        turns = next(iter(turns.values()))
    if isinstance(turns, str) and turns.lstrip().startswith(("[", "{")) and '"role"' in turns:
        return turns
    if key is None or not has_turns(turns):
        return None
    if str(key).strip().lower() == "conversations" and "role" not in spoken_by(turns):
        return None
    return turns


def _convert(record: Record) -> Example:
    value = record.value
    if type(value) is dict:
        key: str | None = "messages" if "messages" in value else find(keyed(value), KEYS)
        if key is None:
            missing("messages", "'messages'", value)
        return read_turns(value[key], key, value, (key,), row_id(value, record))
    if isinstance(value, list):
        return read_turns(value, "", {}, (), str(record.number))
    raise Unusable("not_an_object", "", "an object with messages", shown(value))
