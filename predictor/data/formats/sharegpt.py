"""ShareGPT `conversations`: turns with from and value, spoken by human, gpt, system, function_call and observation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from predictor.data.containers.values import Unusable
from predictor.data.example import Example, Message
from predictor.data.formats.base import Guess, find, guarded, keyed, missing, row_id
from predictor.data.formats.messages import beside, prompt_turns
from predictor.data.formats.turns import has_turns, read_turns, spoken_by
from predictor.data.record import Record
from predictor.data.rejection import shown

KEYS = ("conversations", "conversation")
SPOKEN = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


class ShareGPT:
    """One Example per conversation; `tools` and what else a row holds stay in `extra`."""

    name = "sharegpt"
    needs = "conversations[] with from and value"

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """A claim when rows hold conversations of turns with from and value."""
        known = [value for value in sample if _is_sharegpt(value)]
        if not known:
            return None
        reason = f"{len(known)} of {len(sample)} sampled rows hold 'conversations' of turns with 'from' and 'value'"
        return Guess(len(known) / len(sample), reason, guarded(_convert))

    def lacks(self, example: Example) -> str | None:
        """None for an example with an answer and something that the human's turn can be made from."""
        if not example.answers:
            return "an answer for the last turn"
        if not (example.messages or example.question or example.text or example.context):
            return "a prompt for the human's turn"
        return None

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """The turns as the row had them, otherwise made from its parts: human, gpt, system and observation speak."""
        for example in examples:
            extra = dict(example.extra)
            own = extra.get("turns")
            if isinstance(own, list) and own and "from" in own[0]:
                turns = extra.pop("turns")
            else:
                spoken = [*prompt_turns(example), Message("assistant", example.answer)]
                turns = [{"from": SPOKEN[role], "value": content} for role, content in spoken]
            yield {"id": example.id, "conversations": turns, **beside(example), **extra}


def _is_sharegpt(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    key = find(keyed(value), KEYS)
    return key is not None and has_turns(value[key]) and "role" not in spoken_by(value[key])


def _convert(record: Record) -> Example:
    value = record.value
    if not isinstance(value, dict):
        raise Unusable("not_an_object", "", "an object with conversations", shown(value))
    key = find(keyed(value), KEYS)
    if key is None:
        missing("conversations", "'conversations'", value)
    example = read_turns(value[key], key, value, (key,), row_id(value, record))
    turns = example.extra.get("turns")
    if isinstance(turns, list) and all(_is_plain(turn) for turn in turns):
        example = replace(example, extra={name: item for name, item in example.extra.items() if name != "turns"})
    system = value.get("system")
    if isinstance(system, str) and system.strip() and example.messages[0].role != "system":
        example = replace(example, messages=(Message("system", system), *example.messages))
    return example


def _is_plain(turn: Any) -> bool:
    """Whether the turn can be written again from its role and text alone."""
    return isinstance(turn, dict) and set(turn) == {"from", "value"} and turn["from"] in SPOKEN.values()
