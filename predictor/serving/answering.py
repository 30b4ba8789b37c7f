"""Answers to every question of a file, in its order; what was answered before a break is not asked again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final

from predictor.config import canonical_hash
from predictor.data.rejection import Rejection, refused_example
from predictor.data.rows import encode_row, kind_of, write_rows
from predictor.errors import DataError
from predictor.files import whole_file
from predictor.models.generate import generate
from predictor.models.render import render_turns
from predictor.models.sampling import Sampling
from predictor.progress import SILENT, Progress
from predictor.serving.opening import Opened
from predictor.serving.questions import Question
from predictor.tasks.base import Task

GREEDY: Final = Sampling()
"""The likeliest token each time."""


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        text: as the task reads it.
        tokens: that were generated. cut: it was longer, and cut.
    """

    text: str
    tokens: int
    cut: bool


@dataclass(frozen=True)
class Answered:
    """The outcome for a file.

    Attributes:
        rows: that were written. rejected: that were refused. known: answers that an earlier, broken run had given.
        tokens: generated now.
        sample: columns and the first rows, for a person.
    """

    rows: int
    rejected: int
    known: int
    tokens: int
    sample: tuple[list[str], list[list[Any]]]


class Part:
    """Answers on their way to a file: each is on disk as soon as its batch is done.

    A part that another model, input or setting has left is not gone on with, but begun anew. A line that a killed
    process has left half written is asked again.
    """

    def __init__(self, output: Path, identity: str) -> None:
        self.file = output.with_name(f".{output.name}.answers")
        self.found: dict[str, Answer] = {}
        lines = self.file.read_bytes().split(b"\n")[:-1] if self.file.is_file() else []
        head = _line(lines[0]) if lines else None
        self.begun_anew = bool(lines) and (head is None or head.get("identity") != identity)
        if lines and not self.begun_anew:
            for line in map(_line, lines[1:]):
                if line is not None and line.keys() == {"key", "text", "tokens", "cut"}:
                    key = line.pop("key")
                    self.found[key] = Answer(**line)
        self.known = len(self.found)
        # Written whole, so that what follows is never appended to half a line.
        with whole_file(self.file, encoding="utf-8") as stream:
            stream.write(json.dumps({"identity": identity}) + "\n")
            for key, answer in self.found.items():
                stream.write(_written(key, answer))
        self._stream: IO[str] = self.file.open("a", encoding="utf-8")

    def add(self, answers: Mapping[str, Answer]) -> None:
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
    *,
    task: Task | None,
    sampling: Sampling = GREEDY,
    most: int = 256,
    progress: Progress = SILENT,
) -> Answered:
    """Ask one or more models every question, and write the answers in the input's order.

    Rows that are refused, by the reader or because a model's context cannot hold them, go to `<output>_rejected.jsonl`
    with the reason; every row is in one of the two files.

    Args:
        opened: name and loader of each model; one is loaded after the other.
        most: tokens of an answer; a longer one is cut, which its row says.
        task: reads the answer out of the text; None takes the text without surrounding white space.

    Raises:
        DataError: the output cannot be of the kind that its name says, or no question fits the models.
    """
    kind_of(output)  # an unknown suffix is an error before anything is generated
    questions = {str(place): row for place, row in enumerate(rows) if isinstance(row, Question)}
    rejected: dict[str, Rejection] = {str(p): row for p, row in enumerate(rows) if isinstance(row, Rejection)}
    names, columns, known, tokens = [], [], 0, 0
    for number, (name, load) in enumerate(opened):
        model = load()
        said = {"model": model.digest, "most": most, "sampling": asdict(sampling), "task": task.name if task else ""}
        asked = {key: [list(turn) for turn in question.turns] for key, question in questions.items()}
        part = Part(_part_of(output, number), canonical_hash({**said, "questions": canonical_hash(asked)}))
        if part.begun_anew:
            progress.note(f"{output}: answers that another model, input or setting has left are not gone on with")
        if part.known:
            progress.note(f"{part.known} of {len(questions)} answers of {name} are there already")
        names.append(name)
        columns.append(part)
        known += part.known
        try:
            too_long = _ask(model, questions, part, task, sampling, most, progress)
        finally:
            part.close()
        rejected |= too_long
        tokens += sum(a.tokens for a in part.found.values())
        del model
    kept = {key: question for key, question in questions.items() if key not in rejected}
    if not kept:
        raise DataError(
            f"no question fits: {next(iter(rejected.values())).describe()}",
            where=str(output),
            rule="prompt and answer together fit into the model's context",
        )
    made = [_row(q, {n: p.found[key] for n, p in zip(names, columns, strict=True)}) for key, q in kept.items()]
    write_rows(output, made)
    _write_rejected(output, [rejected[key] for key in sorted(rejected, key=int)])
    for part in columns:
        part.discard()
    sample = made[:200]
    return Answered(len(made), len(rejected), known, tokens, (list(sample[0]), [list(row.values()) for row in sample]))


def rejected_file(output: Path) -> Path:
    """Where the rows without an answer stand."""
    return output.with_name(f"{output.stem}_rejected.jsonl")


def context_length(opened: Opened) -> int:
    """Tokens of prompt and answer that a model can hold; a very large number where its configuration does not say."""
    config = opened.base.model.config.get_text_config()
    return int(getattr(config, "max_position_embeddings", None) or 1 << 40)


def _ask(
    opened: Opened,
    questions: Mapping[str, Question],
    part: Part,
    task: Task | None,
    sampling: Sampling,
    most: int,
    progress: Progress,
) -> dict[str, Rejection]:
    """Answer what the part does not hold yet; those that cannot be put to the model come back, with the reason."""
    tokenizer, room = opened.base.tokenizer, context_length(opened)
    prompts: dict[str, list[int]] = {}
    refused: dict[str, Rejection] = {}
    for key, question in questions.items():
        if key in part.found:
            continue
        try:
            ids = render_turns(question.turns, tokenizer)
        except Exception as error:  # what a template cannot put, it says with jinja's own family of errors
            refused[key] = _refusal(question, opened, "not_for_task", "turns that the chat template knows", str(error))
            continue
        if not ids or len(ids) + most > room:
            expected = f"at most {room} tokens, {most} of them for the answer"
            refused[key] = _refusal(question, opened, "over_max_length", expected, f"{len(ids)} tokens of prompt")
        else:
            prompts[key] = ids
    order = list(prompts)
    progress.stage(f"answers of {opened.name}", len(order))

    def keep(places: Sequence[int], answers: Sequence[list[int]]) -> None:
        texts = tokenizer.batch_decode(list(answers), skip_special_tokens=True)
        made = {}
        for place, ids, text in zip(places, answers, texts, strict=True):
            made[order[place]] = Answer(task.parse(text) if task else text.strip(), len(ids), len(ids) >= most)
        part.add(made)

    generate(
        opened.model,
        tokenizer,
        list(prompts.values()),
        max_new_tokens=most,
        on_batch=lambda rows: progress.advance(rows),
        on_answers=keep,
        sampling=sampling,
        numbers=[int(key) for key in order],
    )
    return refused


def _refusal(question: Question, opened: Opened, code: str, expected: str, found: str) -> Rejection:
    if question.example is not None:
        return refused_example(question.example, opened.name, code, expected, found)
    turns = [{"role": turn.role, "content": turn.content} for turn in question.turns]
    return Rejection(code, opened.name, f"id {question.id}", "", expected, found, {"messages": turns})


def _row(question: Question, answers: Mapping[str, Answer]) -> dict[str, Any]:
    row: dict[str, Any] = {"id": question.id, "prompt": question.shown}
    if question.reference:
        row["reference"] = question.reference
    if len(answers) == 1:
        [answer] = answers.values()
        return {**row, "answer": answer.text, "tokens": answer.tokens, "cut": answer.cut}
    row |= {f"answer of {name}": answer.text for name, answer in answers.items()}
    return {**row, "same": len({answer.text for answer in answers.values()}) == 1}


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


def _written(key: str, answer: Answer) -> str:
    return encode_row({"key": key, **asdict(answer)}) + "\n"
