"""SQuAD v1.1 and v2.0: articles of paragraphs of questions, or the flat rows that the hub keeps of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from predictor.data.containers.values import Unusable
from predictor.data.example import Example
from predictor.data.fingerprint import passage_group
from predictor.data.formats.base import Guess, Outcome, filled, find, keyed, missing, rest_of, row_id, text_of
from predictor.data.record import Record
from predictor.data.rejection import Rejection, shown

CONTEXT = ("context", "passage", "上下文", "背景", "文本")
QUESTION = ("question", "问题", "提问")
ANSWERS = ("answers", "answer", "答案", "回答")


class Squad:
    """One Example per question; `group` is the passage. Rejections name the question by its index path."""

    name = "squad"
    needs = "data[].paragraphs[] with context and qas[], or rows with context, question and answers"

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """A claim on articles, paragraphs and flat rows alike; the reason names the commonest of them."""
        shapes = [_shape(value) for value in sample]
        known = [shape for shape in shapes if shape]
        if not known:
            return None
        commonest = max(set(known), key=known.count)
        words = {
            "article": "'paragraphs' with 'context' and 'qas'",
            "paragraph": "'context' and 'qas'",
            "flat": "'context', 'question' and 'answers'",
        }[commonest]
        reason = f"{len(known)} of {len(sample)} sampled rows hold {words}"
        return Guess(len(known) / len(sample), reason, self.read)

    def read(self, record: Record) -> Iterable[Outcome]:
        """The questions of one raw row: many of an article or a paragraph, one of a flat row."""
        value, row = record.value, record.row
        shape = _shape(value)
        if shape == "article":
            return _article(value, record, row)
        if shape == "paragraph":
            return _paragraph(value, record, row, {})
        if not isinstance(value, dict):
            return (record.refuse("not_an_object", "", "an article, paragraph or question", shown(value)),)
        return (_flat(value, record),)

    def lacks(self, example: Example) -> str | None:
        """None for a single question about a context; it may be without an answer, as in SQuAD v2.0."""
        if example.context is None or example.question is None:
            return "a context and a question"
        if len(example.messages) > 1:
            return "a single question (it has a conversation)"
        return None

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """Flat rows, `answers` as columns of text and answer_start."""
        for example in examples:
            extra = dict(example.extra)
            row = {"id": example.id, **({"title": extra.pop("title")} if "title" in extra else {})}
            row |= {"context": example.context or "", "question": example.question or "", "answers": _columns(example)}
            if not example.answers:
                row["is_impossible"] = True
            yield row | extra

    def document(self, examples: Iterable[Example]) -> dict[str, Any]:
        """The nested document of SQuAD v1.1, or v2.0 when a question is unanswerable."""
        articles: list[dict[str, Any]] = []
        impossible = False
        for title, of_title in groupby(examples, key=lambda example: example.extra.get("title")):
            paragraphs = []
            for context, questions in groupby(of_title, key=lambda example: example.context):
                qas = [_qa(example) for example in questions]
                impossible = impossible or any(qa.get("is_impossible") for qa in qas)
                paragraphs.append({"context": context or "", "qas": qas})
            articles.append({**({} if title is None else {"title": title}), "paragraphs": paragraphs})
        return {"version": "v2.0" if impossible else "1.1", "data": articles}


def _columns(example: Example) -> dict[str, Any]:
    starts = list(example.answer_starts) or [-1] * len(example.answers)
    return {"text": list(example.answers), "answer_start": starts}


def _qa(example: Example) -> dict[str, Any]:
    columns = _columns(example)
    pairs = zip(columns["text"], columns["answer_start"], strict=True)
    answers = [{"text": text, "answer_start": start} for text, start in pairs]
    extra = {key: value for key, value in example.extra.items() if key != "title"}
    mark = {} if answers else {"is_impossible": True}
    return {"id": example.id, "question": example.question, "answers": answers, **mark, **extra}


def _shape(value: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    if "paragraphs" in value:
        return "article"
    if "qas" in value:
        return "paragraph"
    names = keyed(value)
    if find(names, CONTEXT) and find(names, QUESTION) and find(names, ANSWERS):
        return "flat"
    return None


def _article(value: dict[str, Any], record: Record, row: str) -> Iterator[Outcome]:
    paragraphs = value["paragraphs"]
    if not isinstance(paragraphs, list):
        yield record.refuse("wrong_type", "paragraphs", "a list of paragraphs", shown(paragraphs))
        return
    title = value.get("title")
    kept = {"title": title} if isinstance(title, str) else {}
    for index, paragraph in enumerate(paragraphs):
        yield from _paragraph(paragraph, record, f"{row}.paragraphs[{index}]", kept)


def _paragraph(value: Any, record: Record, row: str, kept: dict[str, Any]) -> Iterator[Outcome]:
    def refuse(fault: Unusable, at: str, content: Any) -> Rejection:
        return Rejection(fault.code, record.file, at, fault.field, fault.expected, fault.found, content)

    try:
        if not isinstance(value, dict):
            raise Unusable("not_an_object", "", "a paragraph with context and qas", shown(value))
        if not isinstance(value.get("qas"), list):
            raise Unusable("missing_field", "qas", "a list of questions", shown(value.get("qas")))
    except Unusable as fault:
        yield refuse(fault, row, value)
        return
    for index, qa in enumerate(value["qas"]):
        at = f"{row}.qas[{index}]"
        try:
            # A faulty context refuses each of its questions, so that every question is counted once.
            context = filled(text_of(value.get("context"), "context"), "empty_prompt", "context", "a passage")
            if not isinstance(qa, dict):
                raise Unusable("not_an_object", "", "a question with answers", shown(qa))
            yield _example(qa, context, qa.get("question"), qa.get("answers"), kept, f"{record.number}-{at}")
        except Unusable as fault:
            yield refuse(fault, at, {"context": value.get("context"), **qa} if isinstance(qa, dict) else qa)


def _flat(value: dict[str, Any], record: Record) -> Outcome:
    names = keyed(value)
    try:
        context, question, answers = (_key(names, wanted, value) for wanted in (CONTEXT, QUESTION, ANSWERS))
        passage = filled(text_of(value[context], context), "empty_prompt", context, "a passage")
        rest = rest_of(value, (context, question, answers, "is_impossible"))
        impossible = {"is_impossible": value["is_impossible"]} if "is_impossible" in value else {}
        return _example(impossible, passage, value[question], value[answers], rest, row_id(value, record))
    except Unusable as fault:
        return record.refuse(fault.code, fault.field, fault.expected, fault.found)


def _key(names: dict[str, str], wanted: Sequence[str], value: dict[str, Any]) -> str:
    key = find(names, wanted)
    if key is None:
        missing(wanted[0], f"'{wanted[0]}'", value)
    return key


def _example(
    qa: dict[str, Any], context: str, question: Any, answers: Any, kept: dict[str, Any], default_id: str
) -> Example:
    asked = filled(text_of(question, "question"), "empty_prompt", "question", "a question")
    pairs = _answer_pairs(answers)
    if not pairs and qa.get("is_impossible") is not True:
        raise Unusable("empty_answer", "answers", "an answer, or is_impossible true", shown(answers))
    texts = tuple(text for text, _ in pairs)
    starts = tuple(_start(context, text, start) for text, start in pairs)
    known = ("id", "question", "answers", "is_impossible")
    return Example(
        id=row_id(qa, Record(qa, "", "", 0)) if qa.get("id") else default_id,
        answers=texts,
        context=context,
        question=asked,
        answer_starts=starts if starts and min(starts) >= 0 else (),
        group=passage_group(context),
        extra={**kept, **{key: item for key, item in qa.items() if key not in known}},
    )


def _answer_pairs(answers: Any) -> list[tuple[str, int]]:
    """Distinct answers with their offsets, in order; −1 is an unknown offset."""
    if isinstance(answers, dict) and "text" in answers:
        texts, starts = answers["text"], answers.get("answer_start")
        texts = texts if isinstance(texts, list) else [texts]
        starts = starts if isinstance(starts, list) else [starts] * len(texts)
        if len(starts) != len(texts):
            raise Unusable("wrong_type", "answers.answer_start", f"{len(texts)} offsets", f"{len(starts)}")
        answers = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    if answers is None:
        return []
    pairs: dict[str, int] = {}
    for answer in answers if isinstance(answers, list) else [answers]:
        start: Any = -1
        if isinstance(answer, dict):
            start = answer.get("answer_start", -1)
            answer = answer.get("text")
        text = filled(text_of(answer, "answers.text"), "empty_answer", "answers.text", "an answer")
        pairs.setdefault(text, start if isinstance(start, int) and not isinstance(start, bool) else -1)
    return list(pairs.items())


def _start(context: str, text: str, start: int) -> int:
    """The offset when the answer stands there, else that of its only occurrence, else −1."""
    if start >= 0 and context.startswith(text, start):
        return start
    return context.find(text) if context.count(text) == 1 else -1
