"""Conversations in whatever spelling: who speaks, what is said, and what was asked before the last answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from predictor.data.containers.values import CONTENT_KEYS, ROLE_KEYS, Unusable
from predictor.data.example import Example, Message
from predictor.data.fingerprint import passage_group
from predictor.data.formats.base import filled, keyed, missing, rest_of
from predictor.data.formats.qa_turn import parse_passage_question
from predictor.data.rejection import shown

ROLES: Mapping[str, str] = {
    "system": "system", "developer": "system", "系统": "system",
    "user": "user", "human": "user", "prompter": "user", "customer": "user", "用户": "user", "人类": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    "ai": "assistant", "bing": "assistant", "bard": "assistant", "助手": "assistant",
    "function_call": "assistant", "tool_call": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "ipython": "tool", "function_response": "tool",
    "tool_response": "tool",
}  # fmt: skip
"""Who speaks, as spelled in files → the role of a `Message`."""

_PLAIN_ROLES = ("user", "assistant", "system", "tool")
_ROLE_ORDER = ("role", "from", "speaker", "author", "sender")
_CONTENT_ORDER = ("content", "value", "text", "message", "utterance")


def read_turns(turns: Any, field: str, value: Mapping[str, Any], used: Sequence[str | None], own_id: str) -> Example:
    """The Example of one conversation: everything before the last answer is its messages, the last answer its answer.

    Raises:
        Unusable: a turn lacks its role or text, or the conversation does not end with an answer to someone.
    """
    raw = _unwrap(turns, field)
    messages: list[Message] = []
    plain, has_user, blank = True, False, -1
    for turn in raw:
        role = content = None
        if type(turn) is dict and len(turn) == 2:  # the common spelling, without the search for others
            role, content = turn.get("role"), turn.get("content")
        if role not in _PLAIN_ROLES or type(content) is not str:
            plain = False
            role, content = _message(turn, f"{field}[{len(messages)}]")
        if role == "user" or role == "tool":
            has_user = True
            if role == "user" and blank < 0 and (not content or content.isspace()):
                blank = len(messages)
        messages.append(Message(role, content))
    if not messages:
        raise Unusable("no_prompt_turn", field, "a user turn and an answer", "no turns")
    *asked, answer = messages
    if answer.role != "assistant":
        raise Unusable("no_answer_turn", field, "an assistant turn at the end", f"a turn of {answer.role}")
    if not answer.content or answer.content.isspace():
        filled(answer.content, "empty_answer", f"{field}[{len(asked)}].content", "an answer")
    if not has_user:
        raise Unusable("no_prompt_turn", field, "a user turn before the answer", "none")
    if blank >= 0:
        filled(messages[blank].content, "empty_prompt", f"{field}[{blank}].content", "text")
    extra = rest_of(value, used) if len(value) > 1 else {}
    if not plain:
        extra["turns"] = raw  # keeps names, tool calls and foreign roles for conversion
    pair = None
    if len(asked) == 1 or (len(asked) == 2 and asked[0].role == "system"):
        pair = parse_passage_question(asked[-1].content)
    if pair is None:
        return Example(id=own_id, answers=(answer.content,), messages=tuple(asked), extra=extra)
    texts, starts = _references(extra, answer.content)
    return Example(
        id=own_id,
        answers=texts,
        context=pair.context,
        question=pair.question,
        messages=tuple(asked),
        answer_starts=starts,
        group=passage_group(pair.context),
        extra=extra,
    )


def _references(extra: dict[str, Any], answer: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Answers and offsets that stand beside the turns, taken out of `extra`; else the one answer."""
    found = extra.get("answers")
    if not isinstance(found, dict) or found.keys() != {"text", "answer_start"}:
        return (answer,), ()
    texts, starts = found["text"], found["answer_start"]
    sound = (
        isinstance(texts, list)
        and isinstance(starts, list)
        and len(texts) == len(starts) > 0
        and all(type(text) is str for text in texts)
        and all(type(start) is int for start in starts)
    )
    if not sound or texts[0] != answer or len(set(texts)) < len(texts):
        return (answer,), ()
    del extra["answers"]
    return tuple(texts), tuple(starts) if min(starts) >= 0 else ()


def _unwrap(turns: Any, field: str) -> list[Any]:
    """The list of turns inside superfluous lists, one wrapping object, or JSON text."""
    for _ in range(4):
        if isinstance(turns, str):
            try:
                turns = json.loads(turns)
            except (ValueError, RecursionError):
                break
        elif isinstance(turns, list) and len(turns) == 1 and isinstance(turns[0], list):
            turns = turns[0]
        elif isinstance(turns, dict) and len(turns) == 1:
            turns = next(iter(turns.values()))
        else:
            break
    if not isinstance(turns, list):
        raise Unusable("missing_field" if turns is None else "wrong_type", field, "a list of turns", shown(turns))
    return turns


def _message(turn: Any, field: str) -> Message:
    if not isinstance(turn, dict):
        raise Unusable("wrong_type", field, "a turn with role and content", shown(turn))
    names = keyed(turn)
    role_key = next((names[name] for name in _ROLE_ORDER if name in names), None)
    content_key = next((names[name] for name in _CONTENT_ORDER if name in names), None)
    if role_key is None or turn[role_key] in (None, ""):
        raise Unusable("missing_role", f"{field}.role", "one of user, assistant, system, tool", _keys(turn))
    spelled = turn[role_key]
    role = ROLES.get(spelled.strip().lower().rstrip(":：")) if isinstance(spelled, str) else None
    if role is None:
        raise Unusable("unknown_role", f"{field}.{role_key}", "one of user, assistant, system, tool", shown(spelled))
    content = turn[content_key] if content_key is not None else None
    calls = turn.get("tool_calls") or turn.get("function_call")
    if content in (None, "") and calls and role == "assistant":
        return Message(role, json.dumps(calls, ensure_ascii=False))
    if content_key is None:
        missing(f"{field}.content", "'content'", turn)
    return Message(role, _content(content, f"{field}.{content_key}"))


def _content(content: Any, field: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content and all(isinstance(part, dict) for part in content):
        texts = [part.get("text") for part in content if part.get("type", "text") == "text"]
        if len(texts) == len(content) and all(isinstance(text, str) for text in texts):
            return "".join(texts)  # type: ignore[arg-type]
        kinds = sorted({str(part.get("type")) for part in content})
        raise Unusable("unsupported_content", field, "text", f"parts of type {', '.join(kinds)}")
    if content is None:
        raise Unusable("missing_field", field, "text", "null")
    raise Unusable("unsupported_content", field, "text", shown(content))


def _keys(turn: Mapping[str, Any]) -> str:
    return f"the keys {', '.join(str(key) for key in list(turn)[:6])}"


def has_turns(value: Any) -> bool:
    """Whether a value is a list (of lists) of objects that look like turns, at least in part."""
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    if not isinstance(value, list) or not value:
        return False
    found = 0
    for turn in value[:8]:
        if isinstance(turn, dict):
            names = keyed(turn)
            found += bool(not names.keys().isdisjoint(ROLE_KEYS) or not names.keys().isdisjoint(CONTENT_KEYS))
    return found * 2 >= min(8, len(value))


def spoken_by(value: Any) -> set[str]:
    """The names of the keys under which turns say who speaks."""
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    return {name for turn in value[:8] if isinstance(turn, dict) for name in keyed(turn) if name in ROLE_KEYS}
