"""Score records: a prompt about a company (or other facts), thoughts, a numeric score and its reason.

`train/`, `eval/` and `test/` hold one file for each dimension that is scored; the file's name is the dimension. A row
may name its own, and hold scores of several dimensions at once: `"score": {"innovation": 4, "growth": 2}`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from predictor.data.containers.values import Unusable
from predictor.data.example import Example
from predictor.data.fingerprint import passage_group
from predictor.data.formats.base import Guess, filled, guarded, missing, object_of, rest_of, row_id, text_of
from predictor.data.record import Record
from predictor.data.rejection import shown

_BESIDE = ("company_info", "think", "reason")


class Score:
    """`question` is the prompt, `context` the company_info; the answer is the score as text, `extra` holds the rest.

    `extra["dimension"]` is what is scored, where it is known; `extra["scores"]` the scores of several by dimension.

    Args:
        scored: each row must have a score. Otherwise a row whose score is absent, or is none, has no answer: so are
            rows read that a model is to score.
    """

    name = "score"
    needs = "prompt, score and one of company_info, think, reason"

    def __init__(self, *, scored: bool = True) -> None:
        self._scored = scored
        if not scored:
            self.needs = "prompt, and what is rated as company_info"

    def detect(self, sample: Sequence[Any]) -> Guess | None:
        """A claim when rows hold prompt and score, and beside them one of company_info, think, reason."""
        known = sum(isinstance(value, dict) and self._claims(value) for value in sample)
        if not known:
            return None
        beside = f" and 'score' beside {', '.join(_BESIDE)}" if self._scored else ""
        reason = f"{known} of {len(sample)} sampled rows hold 'prompt'{beside}"
        return Guess(known / len(sample), reason, guarded(_convert if self._scored else _convert_unscored))

    def _claims(self, value: Mapping[str, Any]) -> bool:
        if not self._scored:
            return "prompt" in value
        return {"prompt", "score"} <= value.keys() and not value.keys().isdisjoint(_BESIDE)

    def lacks(self, example: Example) -> str | None:
        """None for an example with a prompt whose answer is a finite number."""
        if example.question is None:
            return "a prompt"
        if isinstance(example.extra.get("scores"), Mapping):
            return None
        try:
            score_number(example.answer)
        except ValueError:
            return "a number as the answer"
        return None

    def rows(self, examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
        """`score` is the answer as a number; `company_info` is the context unless the row has kept its own."""
        for example in examples:
            extra = dict(example.extra)
            row: dict[str, Any] = {"id": example.id, "prompt": example.question}
            info = extra.pop("company_info", example.context)
            row |= {} if info is None else {"company_info": info}
            row |= {"think": extra.pop("think")} if "think" in extra else {}
            scores = extra.pop("scores", None)
            row["score"] = score_number(example.answer) if scores is None else scores
            yield row | extra


def score_number(text: str) -> int | float:
    """The finite number that a text holds; raises ValueError."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _convert(record: Record) -> Example:
    value = object_of(record)
    if "prompt" not in value:
        missing("prompt", "'prompt'", value)
    if "score" not in value:
        missing("score", "'score'", value)
    prompt = filled(text_of(value["prompt"], "prompt"), "empty_prompt", "prompt", "a prompt")
    found = value["score"]
    several = {str(name): _number(each) for name, each in found.items()} if found and isinstance(found, dict) else None
    answer = "\n".join(f"{name}: {each}" for name, each in several.items()) if several else str(_number(found))
    info = value.get("company_info")
    extra = rest_of(value, ("prompt", "score", "company_info"))
    if several:
        extra["scores"] = several
    elif record.part:
        extra.setdefault("dimension", record.part)
    if info is not None and not isinstance(info, str):
        extra["company_info"] = info  # an object; the context holds it as JSON text
        info = json.dumps(info, ensure_ascii=False)
    return Example(
        id=row_id(value, record),
        answers=(answer,),
        context=info or None,
        question=prompt,
        group=passage_group(info) if info and info.strip() else None,
        extra=extra,
    )


def _convert_unscored(record: Record) -> Example:
    """As :func:`_convert`, but of a row without a sound score an example without an answer."""
    value = object_of(record)
    try:
        return _convert(record)
    except Unusable as fault:
        if fault.field != "score":
            raise
    # What the score is made of does not matter: no example has it.
    example = _convert(record._replace(value={**value, "score": 0}))
    return replace(example, answers=())


def _number(found: Any) -> int | float:
    try:
        if isinstance(found, bool) or not isinstance(found, (int, float, str)):
            raise ValueError
        return score_number(found.strip() if isinstance(found, str) else str(found))
    except (ValueError, OverflowError):
        raise Unusable("bad_score", "score", "a finite number", shown(found)) from None
