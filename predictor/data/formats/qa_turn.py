"""A question about a passage that was written into one chat turn: `Context: …` and `Question: …`."""

from __future__ import annotations

import re
from typing import NamedTuple


class PassageQuestion(NamedTuple):
    """The two parts of such a turn, without their labels."""

    context: str
    question: str


_MARK = r"[*#\s]*"
_COLON = r"[*\s]*[:：][*]*"
_CONTEXT = rf"(?:context|passage|上下文|背景|文本|段落|材料|文章|内容){_COLON}"
_QUESTION = rf"(?:question|问题|提问){_COLON}"

_OPENS = re.compile(rf"{_MARK}{_CONTEXT}[^\S\n]*", re.IGNORECASE)
_ASKS_ON_LINE = re.compile(rf"\n{_MARK}{_QUESTION}\s*", re.IGNORECASE)
_ASKS_INLINE = re.compile(rf"(?:(?<=\s)|(?<=[.!?。！？”\"'’)）]))[*#]*{_QUESTION}\s*", re.IGNORECASE)
_OPENS_QUESTION = re.compile(rf"{_MARK}{_QUESTION}\s*", re.IGNORECASE)
_GIVES_ON_LINE = re.compile(rf"\n{_MARK}{_CONTEXT}\s*", re.IGNORECASE)
_ANSWER_LABEL = re.compile(rf"\s*\n{_MARK}(?:answer|答案|回答){_COLON}\s*$", re.IGNORECASE)


def parse_passage_question(text: str) -> PassageQuestion | None:
    """The passage and the question of a turn, None when the turn is not written in this way.

    The question's label may stand on its own line (the last such line counts) or behind the passage on the same line;
    colons may be full-width, labels English or Chinese, and the question may come first.
    """
    if text.startswith("Context: "):
        # The spelling that we write ourselves is read to the letter, so that conversion is exact.
        at = text.rfind("\nQuestion: ")
        if at > 0 and not _ASKS_ON_LINE.search(text, at + 1):
            context, question = text[len("Context: ") : at], text[at + len("\nQuestion: ") :]
            if not question.rstrip().endswith((":", "：", "*")) and not context.isspace() and not question.isspace():
                return PassageQuestion(context, question) if context and question else None
    opening = _OPENS.match(text)
    if opening:
        body_at = opening.end()
        label = _last(_ASKS_ON_LINE, text, body_at) or _last(_ASKS_INLINE, text, body_at)
        if label:
            return _pair(text[body_at : label.start()], text[label.end() :])
        return None
    opening = _OPENS_QUESTION.match(text)
    if opening:
        label = _GIVES_ON_LINE.search(text, opening.end())
        if label:
            return _pair(text[label.end() :], text[opening.end() : label.start()])
    return None


def _last(pattern: re.Pattern[str], text: str, start: int) -> re.Match[str] | None:
    return max(pattern.finditer(text, start), key=lambda match: match.start(), default=None)


def _pair(context: str, question: str) -> PassageQuestion | None:
    question, context = _without_answer_label(question.strip()), _without_answer_label(context.strip())
    return PassageQuestion(context, question) if context and question else None


def _without_answer_label(text: str) -> str:
    """The text without an empty `Answer:` line at its end."""
    return _ANSWER_LABEL.sub("", text).strip() if text.endswith((":", "：", "*")) else text
