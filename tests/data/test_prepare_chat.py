"""The desk prepares what chat and summarization read, in two languages, and says what a base model will see of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from entrypoints import _cli, prepare
from predictor.data import load
from predictor.data.example import Example
from predictor.data.split import group_of
from predictor.flows.prepare import PrepareConfig
from predictor.flows.prepare import prepare as prepare_flow
from predictor.models.base_model import load_tokenizer
from predictor.models.render import render_rows, row_lengths
from predictor.tasks import TASKS
from tests.data.samples import write

CHAT = TASKS.get("chat")
ALPACA = [
    {"instruction": f"Name fruit number {n}.", "input": "" if n % 2 else f"basket {n}", "output": f"Apple {n}."}
    for n in range(40)
]
OFFER = '[{"name": "查天气", "parameters": {"城市": "string"}}]'


def talks() -> list[dict]:
    """Chinese conversations with calls of functions, each twice: after its first answer, and whole."""
    rows = []
    for n in range(20):
        turns = [
            ("human", f"你好，我是第{n}号。"),
            ("gpt", "你好！"),
            ("human", "北京天气怎么样？"),
            ("function_call", '{"name": "查天气"}'),
            ("observation", '{"天气": "晴"}'),
            ("gpt", f"今天晴，{n}度。"),
        ]
        whole = [{"from": who, "value": text} for who, text in turns]
        rows += [{"conversations": part, "system": "请简短。", "tools": OFFER} for part in (whole[:2], whole)]
    return rows


def read(example: Example) -> tuple:
    return tuple(CHAT.prompt(example)), example.answer


@pytest.mark.parametrize(("name", "rows"), [("alpaca", ALPACA), ("sharegpt", talks())])
def test_both_parts_say_what_the_source_said_and_share_no_conversation(
    tmp_path: Path, store: str, tiny_base: Path, capsys: pytest.CaptureFixture[str], name: str, rows: list[dict]
) -> None:
    source, folder = write(tmp_path / "in.jsonl", rows), tmp_path / "out"
    tokenizer = load_tokenizer(str(tiny_base))
    rendered = render_rows(load(source).examples, CHAT, tokenizer)
    longest = max(row.length for row in rendered)
    arguments = ["--input", str(source), "--output", str(folder), "--task", "chat", "--base_model", str(tiny_base)]
    arguments += ["--max_length", str(longest - 1), "--max_cut", "1", "--validation_fraction", "0.2"]
    arguments += ["--near_rows", "1"]  # such rows differ by a number
    assert _cli.main(prepare.CONFIG, prepare.run, arguments) == 0
    train, held = (load(folder / f"{part}.jsonl").examples for part in ("train", "validation"))
    assert sorted(map(read, (*train, *held))) == sorted(map(read, load(source).examples))
    assert not {group_of(example) for example in train} & {group_of(example) for example in held}
    assert 6 <= len(held) <= 10
    printed = capsys.readouterr().out
    over = sum(row.length == longest for row in rendered)
    seen, learnt = sum(row.length for row in rendered), sum(row.learnt for row in rendered)
    assert f"{seen} in one epoch, {learnt} of them learnt; longest row {longest} ({tiny_base})" in printed
    assert f"{over} rows exceed max_length={longest - 1}: a fine-tune leaves them out" in printed
    assert f"-P task=chat -P dataset={folder}/train.jsonl -P eval_dataset={folder}/validation.jsonl" in printed


def test_a_row_that_the_template_refuses_is_counted_and_the_others_are_measured(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_base))
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
        "{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    examples = [load_one(row) for row in (ALPACA[0], talks()[1], ALPACA[1])]
    first, refused, last = row_lengths(CHAT, tokenizer)(examples)
    assert refused is None
    assert first is not None
    assert last is not None
    assert first[1] > first[2] > 0


def load_one(row: dict) -> Example:
    if "instruction" in row:
        return Example("1", (row["output"],), question=row["instruction"], context=row["input"] or None)
    from predictor.data.formats.turns import read_turns

    return read_turns(row["conversations"], "conversations", row, ("conversations",), "1")


def test_summaries_are_prepared_too(tmp_path: Path, store: str, tiny_base: Path) -> None:
    rows = [{"dialogue": f"A: I am {n}.", "summary": f"A is {n}."} for n in range(20)]
    source = write(tmp_path / "in.jsonl", rows)
    config = PrepareConfig(
        input=str(source), output=str(tmp_path / "out"), task="summarization", base_model=str(tiny_base)
    )
    report = json.loads((tmp_path / "out" / "report.json").read_text()) if prepare_flow(config) else {}
    assert report["preflight"]["tokens"]["learnt"] < report["preflight"]["tokens"]["seen"]
    assert sum(report["outputs"].values()) == 20
