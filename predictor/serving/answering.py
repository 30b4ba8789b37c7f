"""Answers to every question of a file, in its order; what was answered before a break is not asked again.

    names ──open──▶ models ─┐
                            ├─ asking ──▶ answers by batch ──▶ part (on disk) ──▶ rows in the input's order
    file ──read──▶ questions┘        └──▶ refused rows

How a kind of model is asked, and what a row of its answers holds, its :class:`Asking` says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Protocol

from predictor.config import canonical_hash
from predictor.data.rejection import Rejection
from predictor.data.rows import encode_row, kind_of, write_rows
from predictor.errors import DataError
from predictor.files import whole_file
from predictor.progress import SILENT, Progress
from predictor.serving.opening import Opened
from predictor.serving.questions import Question


class Asking(Protocol):
    """How models of one kind are asked, and how their answers are told."""

    @property
    def answer(self) -> type[Any]:
        """The dataclass of one answer, of JSON values."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """All that an answer depends on beside the model and the question, as JSON values."""
        ...

    def ask(
        self,
        opened: Opened,
        questions: Mapping[str, Question],
        keep: Callable[[Mapping[str, Any]], None],
        progress: Progress,
    ) -> dict[str, Rejection]:
        """Answer questions batch by batch, each of which is kept at once, by the questions' keys.

        Returns:
            Those that cannot be put to the model, with the reason.
        """
        ...

    def rows(self, questions: Sequence[Question], answers: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
        """What is written of each question, given its answer by each model's name; all rows have the same columns."""
        ...

    def figures(self, questions: Sequence[Question], answers: Sequence[Any]) -> dict[str, float]:
        """What can be said of a model's answers as a whole, by name, such as their accuracy where labels are known."""
        ...


@dataclass(frozen=True)
class Answered:
    """The outcome for a file.

    Attributes:
        rows: that were written. rejected: that were refused. known: answers that an earlier, broken run had given.
        tokens: generated now.
        sample: columns and the first rows, for a person.
        figures: of the answers as a whole, by name: `accuracy`, `parse_rate`; of the second of several models
            `accuracy/2`.
    """

    rows: int
    rejected: int
    known: int
    tokens: int
    sample: tuple[list[str], list[list[Any]]]
    figures: Mapping[str, float] = field(default_factory=dict)


class Part:
    """Answers on their way to a file: each is on disk as soon as its batch is done.

    A part that another model, input or setting has left is not gone on with, but begun anew. A line that a killed
    process has left half written is asked again.

    Args:
        answer: the dataclass of one answer.
    """

    def __init__(self, output: Path, identity: str, answer: type[Any]) -> None:
        self.file = output.with_name(f".{output.name}.answers")
        self.found: dict[str, Any] = {}
        names = {each.name for each in fields(answer)}
        lines = self.file.read_bytes().split(b"\n")[:-1] if self.file.is_file() else []
        head = _line(lines[0]) if lines else None
        self.begun_anew = bool(lines) and (head is None or head.get("identity") != identity)
        if lines and not self.begun_anew:
            for line in map(_line, lines[1:]):
                if line is not None and line.keys() == {"key", *names}:
                    key = line.pop("key")
                    self.found[key] = answer(**line)
        self.known = len(self.found)
        # Written whole, so that what follows is never appended to half a line.
        with whole_file(self.file, encoding="utf-8") as stream:
            stream.write(json.dumps({"identity": identity}) + "\n")
            for key, known in self.found.items():
                stream.write(_written(key, known))
        self._stream: IO[str] = self.file.open("a", encoding="utf-8")

    def add(self, answers: Mapping[str, Any]) -> None:
        """Keep answers, by the question's key."""
        self.found |= answers
        self._stream.write("".join(_written(key, answer) for key, answer in answers.items()))
        self._stream.flush()

    def close(self) -> None:
        """Write no more; the file stays for the next one."""
        self._stream.close()

    def discard(self) -> None:
        """The output is written: the part is needed no more."""
        self.close()
        self.file.unlink(missing_ok=True)


def answer_file(
    opened: Iterable[tuple[str, Callable[[], Opened]]],
    rows: Sequence[Question | Rejection],
    output: Path,
    asking: Asking,
    *,
    progress: Progress = SILENT,
) -> Answered:
    """Ask one or more models every question, and write the answers in the input's order.

    Rows that are refused, by the reader or because a model's context cannot hold them, go to `<output>_rejected.jsonl`
    with the reason; every row is in one of the two files.

    Args:
        opened: name and loader of each model; one is loaded after the other.
        asking: how they are asked.

    Raises:
        DataError: the output cannot be of the kind that its name says, or no question fits the models.
    """
    flat = kind_of(output) in ("csv", "tsv")  # an unknown suffix is an error before anything is asked
    questions = {str(place): row for place, row in enumerate(rows) if isinstance(row, Question)}
    rejected: dict[str, Rejection] = {str(p): row for p, row in enumerate(rows) if isinstance(row, Rejection)}
    names, columns, known, tokens = [], [], 0, 0
    for number, (name, load) in enumerate(opened):
        model = load()
        said = {"model": model.digest, **asking.settings()}
        asked = {key: [list(turn) for turn in question.turns] for key, question in questions.items()}
        identity = canonical_hash({**said, "questions": canonical_hash(asked)})
        part = Part(_part_of(output, number), identity, asking.answer)
        if part.begun_anew:
            progress.note(f"{output}: answers that another model, input or setting has left are not gone on with")
        if part.known:
            progress.note(f"{part.known} of {len(questions)} answers of {name} are there already")
        names.append(name)
        columns.append(part)
        known += part.known
        try:
            open_ones = {key: question for key, question in questions.items() if key not in part.found}
            refused = asking.ask(model, open_ones, part.add, progress)
        finally:
            part.close()
        rejected |= refused
        tokens += sum(getattr(answer, "tokens", 0) for answer in part.found.values())
        del model
    kept = {key: question for key, question in questions.items() if key not in rejected}
    if not kept:
        raise DataError(
            f"no question fits: {next(iter(rejected.values())).describe()}",
            where=str(output),
            rule="a row holds what the model reads, and fits into its context",
        )
    answers = {name: [part.found[key] for key in kept] for name, part in zip(names, columns, strict=True)}
    made = asking.rows(list(kept.values()), answers)
    # A table of text has no cell for nothing.
    write_rows(output, [{n: "" if v is None else v for n, v in row.items()} for row in made] if flat else made)
    _write_rejected(output, [rejected[key] for key in sorted(rejected, key=int)])
    for part in columns:
        part.discard()
    sample = made[:200]
    table = (list(sample[0]), [list(row.values()) for row in sample])
    figures = {
        name if len(names) == 1 else f"{name}/{number}": value
        for number, said_by in enumerate(answers.values(), 1)
        for name, value in asking.figures(list(kept.values()), said_by).items()
    }
    return Answered(len(made), len(rejected), known, tokens, table, figures)


def rejected_file(output: Path) -> Path:
    """Where the rows without an answer stand."""
    return output.with_name(f"{output.stem}_rejected.jsonl")


def _write_rejected(output: Path, rejections: Sequence[Rejection]) -> None:
    file = rejected_file(output)
    if not rejections:
        file.unlink(missing_ok=True)  # of an earlier run of the same output
        return
    with whole_file(file, encoding="utf-8") as stream:
        for rejection in rejections:
            stream.write(json.dumps(rejection.as_json(), ensure_ascii=False, default=str) + "\n")


def _part_of(output: Path, number: int) -> Path:
    return output if number == 0 else output.with_name(f"{output.name}.{number}")


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _written(key: str, answer: Any) -> str:
    return encode_row({"key": key, **asdict(answer)}) + "\n"
