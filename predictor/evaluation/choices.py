"""Multiple choice by likelihood: which of several answers a model finds the likeliest."""

from __future__ import annotations

import csv
import glob
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from predictor.data.example import Example, Message
from predictor.errors import DataError

if TYPE_CHECKING:
    from predictor.evaluation.pair import Pair

_LETTERS: Final = "ABCDEFGHIJ"
_RULE: Final = (
    "a .csv file without header: question, choices, letter (as MMLU has it); or .json or .jsonl rows with question, "
    "choices (a list) and answer (a letter, a number from 0, or the text of a choice)"
)
_SPLITS: Final = ("_test", "_dev", "_val", "_validation", "_train")


@dataclass(frozen=True)
class ChoiceItem:
    """A question with several answers, of which one is right.

    Attributes:
        subject: what it is about; files of one subject each have its name.
        right: position of the right one among the choices. context: a text to read first; empty without one.
    """

    id: str
    subject: str
    question: str
    choices: tuple[str, ...]
    right: int
    context: str = ""

    @classmethod
    def of(cls, example: Example) -> ChoiceItem:
        """From a row whose `extra` holds `choices` and `subject`, and whose answer is one of the choices."""
        choices = tuple(map(str, example.extra["choices"]))
        subject = str(example.extra.get("subject", ""))
        right = choices.index(example.answer)
        return cls(example.id, subject, example.question or "", choices, right, example.context or "")


@dataclass(frozen=True)
class Chosen:
    """Whether each model chose right, (n,) each, as 1 and 0.

    Attributes:
        base, tuned: by the log-likelihood of a choice over its bytes (`acc_norm`).
        base_sum, tuned_sum: by the log-likelihood itself (`acc`), which favours short choices.
    """

    base: np.ndarray
    tuned: np.ndarray
    base_sum: np.ndarray
    tuned_sum: np.ndarray


def choose(
    pair: Pair, items: Sequence[ChoiceItem], *, chat: bool, on_batch: Callable[[int], None] = lambda rows: None
) -> Chosen:
    """Which choice both models find the likeliest after the question.

    Args:
        chat: the question is put through the chat template, as the task's rows are; otherwise as plain text, which is
            how benchmarks by likelihood put it (`Question: …` and `Answer:`).
    """
    from predictor.probe.batching import pad_id_of
    from predictor.probe.forks import Fork, fork_sums

    tokenizer = pair.base.tokenizer
    space = "" if chat else " "
    answers = tokenizer([space + choice for item in items for choice in item.choices], add_special_tokens=False)
    ends = iter(answers["input_ids"])
    rows = [
        Fork(prompt, [next(ends) for _ in item.choices])
        for prompt, item in zip(_prompts(items, tokenizer, chat), items, strict=True)
    ]
    pad = pad_id_of(tokenizer)
    with pair.untuned() as model:
        base = pair.base_sums(model, rows, pad_id=pad, on_batch=on_batch)
    tuned = fork_sums(pair.tuned, rows, pad_id=pad, on_batch=on_batch)
    sizes = [np.array([len(choice.encode("utf-8")) for choice in item.choices]) for item in items]
    right = np.array([item.right for item in items])

    def chose(losses: Sequence[np.ndarray]) -> np.ndarray:
        return (np.array([int(np.argmin(each)) for each in losses]) == right).astype(float)

    def per_byte(losses: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [each / size for each, size in zip(losses, sizes, strict=True)]

    return Chosen(chose(per_byte(base)), chose(per_byte(tuned)), chose(base), chose(tuned))


def _prompts(items: Sequence[ChoiceItem], tokenizer: Any, chat: bool) -> list[list[int]]:
    texts = []
    for item in items:
        before = f"Context: {item.context}\n" if item.context else ""
        question = f"{before}Question: {item.question}"
        if chat:
            turns = [{"role": turn.role, "content": turn.content} for turn in [Message("user", question)]]
            texts.append(str(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)))
        else:
            texts.append(f"{question}\nAnswer:")
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def spread(items: Sequence[ChoiceItem], limit: int) -> list[ChoiceItem]:
    """At most `limit` items (0 takes all), as many of each subject as there are, from all over each file."""
    if limit <= 0 or limit >= len(items):
        return list(items)
    by_subject: dict[str, list[ChoiceItem]] = {}
    for item in items:
        by_subject.setdefault(item.subject, []).append(item)
    share, more = divmod(limit, len(by_subject))
    taken: list[ChoiceItem] = []
    spare: list[ChoiceItem] = []
    for number, own in enumerate(by_subject.values()):
        wanted = min(len(own), share + (number < more))
        places = {int(place) for place in np.linspace(0, len(own) - 1, wanted).round()} if wanted else set()
        taken += [item for place, item in enumerate(own) if place in places]
        spare += [item for place, item in enumerate(own) if place not in places]
    return taken + spare[: limit - len(taken)]


def read_choices(source: str) -> list[ChoiceItem]:
    """The items of a file, of all such files in a folder, or of a glob; the file's name is the subject.

    Raises:
        DataError: nothing is there, or a row is no question with choices and a right one.
    """
    files = _files(source)
    if not files:
        raise DataError("no such file of multiple-choice questions", where=source, rule=_RULE)
    found = [item for file in files for item in _read(Path(file))]
    if not found:
        raise DataError("the file holds no question", where=source, rule=_RULE)
    return found


def _files(source: str) -> list[str]:
    path = os.path.expanduser(source)
    if os.path.isfile(path):
        return [path]
    pattern = os.path.join(path, "*") if os.path.isdir(path) else path
    return sorted(file for file in glob.glob(pattern, recursive=True) if file.endswith((".csv", ".json", ".jsonl")))


def _read(path: Path) -> Iterator[ChoiceItem]:
    subject = path.stem
    for split in _SPLITS:
        subject = subject.removesuffix(split)
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as stream:
                rows: list[Any] = list(csv.reader(stream, strict=True))
            yield from _from_table(rows, path, subject)
            return
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = json.loads(text)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"the file cannot be read: {error}", where=str(path), rule=_RULE) from error
    if not isinstance(rows, list):
        raise DataError("the file is no list of questions", where=str(path), rule=_RULE)
    for number, row in enumerate(rows, start=1):
        yield _from_object(row, f"{path}, row {number}", f"{subject}-{number}", subject)


def _from_table(rows: Sequence[Sequence[str]], path: Path, subject: str) -> Iterable[ChoiceItem]:
    width = len(rows[0]) if rows else 0
    for number, row in enumerate(rows, start=1):
        if not row:
            continue
        letter = row[-1].strip().upper() if row else ""
        choices = row[1:-1]
        if number == 1 and letter not in tuple(_LETTERS) and row[0].strip().lower() in ("question", "input"):
            continue  # names of columns
        if len(row) != width or not _are_choices(choices) or not letter or letter not in _LETTERS[: len(choices)]:
            raise DataError(
                f"the row has {len(row)} cells and ends with '{row[-1][:40]}'",
                where=f"{path}, row {number}",
                rule=f"question, at least two choices, and the letter of the right one; {_RULE}",
            )
        yield ChoiceItem(f"{subject}-{number}", subject, row[0], tuple(choices), _LETTERS.index(letter))


def _are_choices(choices: Sequence[Any]) -> bool:
    """At least two texts that say something: nothing has no likelihood."""
    return len(choices) > 1 and all(isinstance(each, str) and each.strip() for each in choices)


def _from_object(row: Any, where: str, name: str, subject: str) -> ChoiceItem:
    wrong = DataError("the row is no question with choices and a right one", where=where, rule=_RULE)
    if not isinstance(row, dict) or not isinstance(row.get("question"), str):
        raise wrong
    choices: Any = row.get("choices")
    answer = row.get("answer", row.get("answerKey"))
    labels: Sequence[Any] = _LETTERS
    if isinstance(choices, dict):  # ARC writes texts and their labels side by side
        labels = choices.get("label") or _LETTERS
        choices = choices.get("text")
    if not isinstance(choices, list) or not _are_choices(choices):
        raise wrong
    right = -1
    if isinstance(answer, int) and not isinstance(answer, bool):
        right = answer
    elif isinstance(answer, str):
        known = [str(label) for label in labels[: len(choices)]]
        right = next((list(each).index(answer) for each in (choices, known) if answer in each), -1)
    if not 0 <= right < len(choices):
        raise wrong
    context = row.get("context")
    item = ChoiceItem(name, str(row.get("subject") or subject), row["question"], tuple(choices), right)
    return replace(item, context=context) if isinstance(context, str) else item
