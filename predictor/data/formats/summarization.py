"""Summarization: a document or dialogue and one or more reference summaries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from predictor.data.example import Example
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

DOCUMENT = (
    "dialogue", "dialog", "document", "article", "transcript", "report", "passage", "text", "source", "content", "body",
    "input", "文章", "正文",
)  # fmt: skip
SUMMARY = ("summary", "highlights", "summaries", "abstract", "tldr", "摘要")
_NUMBERED = re.compile(r"summary_?\d+")


class Summarization:
    """`context` is the document; `summary1`, `summary2`, … are references of one row."""

    name = "summarization"
    needs = "a document (dialogue, document, article, text, …) and its summary (summary, highlights, …)"

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """A claim when rows hold a document and a summary; rows with an instruction are left to Alpaca."""
        pairs = []
        for value in sample:
            if isinstance(value, dict):
                document, summaries = _columns(value)
                if document is not None and summaries and "instruction" not in value:
                    pairs.append((document, summaries[0]))
        if not pairs:
            return None
        document, summary = max(set(pairs), key=pairs.count)
        reason = f"{len(pairs)} of {len(sample)} sampled rows hold '{document}' and '{summary}'"
        return Guess(len(pairs) / len(sample), reason, guarded(_convert))

    def lacks(self, example: Example) -> str | None:
        """None for a document with a summary and without a question."""
        if example.context is None and example.text is None:
            return "a document"
        if example.question is not None:
            return "no question (a summary answers none)"
        return None if example.answers else "a summary"

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """`summary` is a text, or a list where there are several references."""
        for example in examples:
            summary: Any = example.answers[0] if len(example.answers) == 1 else list(example.answers)
            document = example.context if example.context is not None else example.text
            yield {"id": example.id, "document": document, "summary": summary, **example.extra}


def _columns(value: dict[str, Any]) -> tuple[str | None, list[str]]:
    names = keyed(value)
    summary = find(names, SUMMARY)
    summaries = (
        [summary] if summary is not None else [names[name] for name in sorted(names) if _NUMBERED.fullmatch(name)]
    )
    return find(names, DOCUMENT), summaries


def _convert(record: Record) -> Example:
    value = object_of(record)
    document, summaries = _columns(value)
    if document is None:
        missing("document", "a document", value)
    if not summaries:
        missing("summary", "a summary", value)
    text = filled(text_of(value[document], document), "empty_prompt", document, "a document")
    answers: dict[str, None] = {}
    for key in summaries:
        references = value[key] if isinstance(value[key], list) and value[key] else [value[key]]
        for reference in references:
            answers[filled(text_of(reference, key), "empty_answer", key, "a summary")] = None
    return Example(
        id=row_id(value, record),
        answers=tuple(answers),
        context=text,
        group=passage_group(text),
        extra=rest_of(value, (document, *summaries)),
    )
