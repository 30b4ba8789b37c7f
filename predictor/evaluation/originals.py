"""The tasks that a base model could do before: which they are, and their rows, read before any model is."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from predictor.catalog import did_you_mean
from predictor.config import LAB, shortened, split_names
from predictor.data import Example, load, subsample
from predictor.data.fingerprint import row_hash
from predictor.data.formats.messages import prompt_turns
from predictor.errors import ConfigError, DataError
from predictor.evaluation.choices import ChoiceItem, read_choices, spread
from predictor.evaluation.everyday import CHATS, FACTS, TEXTS
from predictor.evaluation.settings import EVERYDAY, KNOWLEDGE, NONE, Comparison, Defaults
from predictor.tasks import TASKS

TEXT: Final = "text"
CHAT: Final = "chat"
CHOICE: Final = "choice"
HARNESS: Final = "lm_eval"
_RULE: Final = "NAME=KIND:DATA, or KIND:DATA"
_NAMED: Final = re.compile(r"([\w.-]+)=([\w-]+:.+)")
_FACTS: Final = 300
"""Of the lab's facts, which are drawn as they are asked for."""


@dataclass(frozen=True)
class Original:
    """One original task as it was named, with its rows.

    Attributes:
        name: in metrics and on the report. kind: text, chat, choice, lm_eval, or a task's name.
        source: where the rows are from, or the harness's task.
        texts, examples, items: the rows, by kind.
        chat: multiple-choice questions are put through the chat template.
        left_out: rows that the fine-tune has seen in training.
    """

    name: str
    kind: str
    source: str
    texts: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    items: tuple[ChoiceItem, ...] = ()
    chat: bool = False
    left_out: int = 0


def read_originals(
    settings: Comparison, defaults: Defaults, place: Callable[[str], Any], trained: Sequence[Example] = ()
) -> list[Original]:
    """Every original task with its rows; the knowledge questions are the last.

    Args:
        defaults: of the base model.
        place: from the name of a dataset to what `load` reads.
        trained: rows that the fine-tune has learnt from; they are no longer a test of what it kept.

    Raises:
        ConfigError: an unknown kind, or one name twice. DataError: a file that is of another kind or cannot be read.
    """
    seen = {row_hash(example) for example in trained}
    named = settings.original or defaults.original
    found = [
        _read(name, kind, source, settings, place, seen)
        for name, kind, source in ([] if named == NONE else parse_originals(named))
    ]
    knowledge = settings.knowledge or defaults.knowledge
    if knowledge != NONE:
        chat = defaults.chat if not settings.knowledge else settings.knowledge_prompt == "chat"
        items = [item for source in split_names(knowledge) for item in _choices(source)]
        items = spread(items, settings.knowledge_limit)
        found.append(Original(KNOWLEDGE, CHOICE, knowledge, items=tuple(items), chat=chat))
    names = [original.name for original in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(
            f"two original tasks are called {twice}",
            where="-P original",
            rule=_RULE,
            fix=f"give one of them another name: other-{twice}=…",
        )
    return found


def parse_originals(text: str) -> list[tuple[str, str, str]]:
    """(name, kind, source) of each entry of a list.

    Raises:
        ConfigError: an entry of another form, or of an unknown kind.
    """
    kinds = (TEXT, CHAT, CHOICE, HARNESS, *(name for name in TASKS.names() if name != CHAT))
    found = []
    for entry in split_names(text):
        match = _NAMED.fullmatch(entry)
        name, rest = (match[1], match[2]) if match else ("", entry)
        kind, colon, source = rest.partition(":")
        if not colon or not source:
            raise ConfigError(f"'{entry}' does not say its kind", where="-P original", rule=_RULE, fix=f"qa:{entry}")
        if kind not in kinds:
            raise ConfigError(
                f"'{kind}' is no kind of original task",
                where=f"-P original={entry}",
                rule=f"{_RULE}; kinds: {', '.join(kinds)}",
                fix=did_you_mean(kind, kinds),
            )
        found.append((name or _name(kind, source), kind, source))
    return found


def _name(kind: str, source: str) -> str:
    if source.startswith(f"{LAB}:"):
        source = source.split(":")[1]
    short = shortened(source).rsplit(".", 1)[0] if kind != HARNESS else source
    return re.sub(r"[^\w.-]+", "-", f"{kind}-{short}").strip("-")


def _read(
    name: str, kind: str, source: str, settings: Comparison, place: Callable[[str], Any], seen: set[str]
) -> Original:
    limit = settings.original_limit
    if kind == HARNESS:
        _require_harness()
        return Original(name, kind, source)
    if kind == CHOICE:
        items = spread(_choices(source), limit)
        return Original(name, kind, source, items=tuple(items), chat=settings.knowledge_prompt == "chat")
    if kind == TEXT:
        texts = TEXTS if source == EVERYDAY else read_texts(source)
        return Original(name, kind, source, texts=texts[:limit] if limit else texts)
    if source == EVERYDAY and kind == CHAT:
        rows: Sequence[Example] = CHATS
    else:
        rows = load(place(source), drop_bad=True).examples
    usable, reasons = [], []
    for example in rows:
        reason = _lacks(kind, example)
        if reason is None:
            usable.append(example)
        else:
            reasons.append(reason)
    if not usable:
        raise DataError(
            f"no row of the original task '{name}' can be used: {reasons[0]}",
            where=source,
            rule=f"rows of the kind {kind}",
            fix="name its kind: text, chat, choice, or the task that reads such rows",
        )
    fresh = [example for example in usable if row_hash(example) not in seen]
    if not fresh:
        raise DataError(
            f"every row of the original task '{name}' was trained on",
            where=source,
            rule="an original task tests what was kept, on rows that the fine-tune has not seen",
            fix="keep rows apart for it: replay some of the file and evaluate on others (slice:rows=…)",
        )
    chosen = subsample(fresh, limit, seed=0)
    return Original(name, kind, source, examples=tuple(chosen), left_out=len(usable) - len(fresh))


def _require_harness() -> None:
    if importlib.util.find_spec("lm_eval") is None:
        raise ConfigError(
            "lm-evaluation-harness is not installed",
            where="-P original=lm_eval:…",
            rule="tasks of lm_eval need the extra 'harness'",
            fix="pip install -e '.[harness]' in the project's folder, or name a file: choice:FILE.csv",
        )


def _lacks(kind: str, example: Example) -> str | None:
    if kind != CHAT:
        return TASKS.get(kind).accepts(example)
    if not example.answer.strip():
        return "lacks an answer"
    return None if prompt_turns(example)[-1].content.strip() else "lacks a prompt"


def _choices(source: str) -> list[ChoiceItem]:
    if source == EVERYDAY:
        return [ChoiceItem.of(example) for example in FACTS]
    if source == LAB:
        from predictor.lab.original import fact_examples

        return [ChoiceItem.of(example) for example in fact_examples(_FACTS)]
    return read_choices(source)


def read_texts(source: str) -> tuple[str, ...]:
    """The texts of a .txt file, whose paragraphs stand between empty lines, or of .jsonl rows with `text`.

    Raises:
        DataError: another kind of file, or one without text.
    """
    rule = "a .txt file with paragraphs between empty lines, or .jsonl rows with text"
    path = Path(source).expanduser()
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"the texts cannot be read: {error}", where=source, rule=rule) from error
    if path.suffix.lower() == ".jsonl":
        texts = []
        for number, line in enumerate(content.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"the line is no JSON: {error}", where=f"{source}, line {number}", rule=rule) from error
            if not isinstance(row, dict) or not isinstance(row.get("text"), str):
                raise DataError("the row has no text", where=f"{source}, line {number}", rule=rule)
            texts.append(row["text"])
    elif path.suffix.lower() == ".txt":
        texts = re.split(r"\n\s*\n", content)
    else:
        raise DataError(f"'{path.suffix}' is no file of texts", where=source, rule=rule)
    kept = tuple(text.strip() for text in texts if text.strip())
    if not kept:
        raise DataError("the file holds no text", where=source, rule=rule)
    return kept
