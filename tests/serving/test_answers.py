"""Every row of a file is answered in its order, or refused by name, whatever breaks in between."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.tiny import qa_rows, write_squad
from predictor.errors import ConfigError, DataError
from predictor.flows.generate import GenerateConfig, generate
from predictor.lab import base_model_path
from predictor.models.base_model import load_base_model
from predictor.models.device import Device
from predictor.models.generate import generate as continue_all
from predictor.models.render import render_turns
from predictor.models.sampling import Sampling
from predictor.serving import answering, writing
from predictor.serving.opening import Opened, open_model
from predictor.serving.questions import Question, asks, read_questions
from predictor.serving.writing import Answer, Writing
from predictor.tasks import TASKS
from predictor.trial.sources import dataset_source

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]
CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
QA = TASKS.get("qa")


@pytest.fixture(scope="module")
def lab() -> Opened:
    base = load_base_model(str(base_model_path()), CPU)
    return Opened("lab", base.model, base, "", base.model_digest)


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return [q for q in read_questions(dataset_source("lab:evaluation"), QA)[:24] if isinstance(q, Question)]


def ask(lab: Opened, questions: list, output: Path, **more) -> list[dict]:
    answering.answer_file([("lab", lambda: lab)], questions, output, Writing(QA, most=8), **more)
    return [json.loads(line) for line in output.read_text().splitlines()]


def test_answers_are_those_of_batch_size_one_in_the_order_of_the_input(lab: Opened, questions, tmp_path: Path):
    rows = ask(lab, questions, tmp_path / "out.jsonl")
    assert [row["id"] for row in rows] == [question.id for question in questions]
    tokenizer = lab.base.tokenizer
    prompts = [render_turns(question.turns, tokenizer) for question in questions]
    alone = continue_all(lab.model, tokenizer, prompts, max_new_tokens=8, batch_rows=1)
    assert [row["answer"] for row in rows] == [
        t.strip() for t in tokenizer.batch_decode(alone, skip_special_tokens=True)
    ]
    assert [row["tokens"] for row in rows] == [len(ids) for ids in alone]
    assert all(row["cut"] == (row["tokens"] == 8) for row in rows)
    assert rows[0]["reference"] == questions[0].reference
    assert [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]


def test_drawn_answers_do_not_depend_on_the_batch_and_follow_from_the_seed(lab: Opened, questions):
    tokenizer = lab.base.tokenizer
    prompts = [render_turns(question.turns, tokenizer) for question in questions[:8]]

    def drawn(rows: int, numbers: list[int], **how) -> list[list[int]]:
        sampling = Sampling(**{"temperature": 1.5, "seed": 3, **how})
        chosen = [prompts[number] for number in numbers]
        return continue_all(
            lab.model, tokenizer, chosen, max_new_tokens=6, batch_rows=rows, sampling=sampling, numbers=numbers
        )

    whole = drawn(8, list(range(8)))
    assert drawn(1, list(range(8))) == whole
    assert drawn(8, [5, 2]) == [whole[5], whole[2]], "as after a break, when the others are there already"
    assert drawn(8, list(range(8)), seed=4) != whole
    greedy = continue_all(lab.model, tokenizer, prompts, max_new_tokens=6)
    assert drawn(8, list(range(8)), top_k=1) == greedy
    assert drawn(8, list(range(8)), top_p=1e-6) == greedy
    assert whole != greedy
    assert drawn(8, list(range(8)), temperature=0.0, repetition_penalty=5.0) != greedy


def test_after_a_break_only_the_rest_is_asked(lab: Opened, questions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    output, calls = tmp_path / "out.jsonl", []
    undisturbed = ask(lab, questions, tmp_path / "whole.jsonl")
    add = answering.Part.add

    def cut(self, answers) -> None:
        add(self, answers)
        with self.file.open("a") as stream:
            stream.write('{"key": "0", "text": "half a li')  # as a killed process leaves it
        raise KeyboardInterrupt

    real = writing.generate

    def counted(model, tokenizer, prompts, **more):
        calls.append(len(prompts))
        return real(model, tokenizer, prompts, **{**more, "batch_rows": 5})

    monkeypatch.setattr(writing, "generate", counted)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(answering.Part, "add", cut)
        ask(lab, questions, output)
    assert not output.exists()
    assert ask(lab, questions, output) == undisturbed
    assert calls == [24, 19]
    assert {file.name for file in tmp_path.iterdir()} == {"out.jsonl", "whole.jsonl"}


def test_answers_of_other_settings_are_not_gone_on_with(lab: Opened, questions, tmp_path: Path):
    part = answering.Part(tmp_path / "out.jsonl", "another", Answer)
    part.add({"0": Answer("wrong", 1, False)})
    part.close()
    rows = ask(lab, questions[:3], tmp_path / "out.jsonl")
    assert rows[0]["answer"] != "wrong"


def test_a_killed_process_goes_on_where_it_was(store: str, tmp_path: Path):
    command = [
        sys.executable, "-m", "entrypoints.generate", "--input", "lab:evaluation", "--task", "qa", "--limit", "300",
        "--max_new_tokens", "8", "--output", str(tmp_path / "out.jsonl"),
    ]  # fmt: skip
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    part = tmp_path / ".out.jsonl.answers"
    while process.poll() is None and not (part.is_file() and len(part.read_bytes().splitlines()) > 1):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
    assert "written   " in done.stdout
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"evaluation-{i}" for i in range(300)]
    assert not part.exists()


def test_every_row_is_answered_or_refused_by_name(store: str, tmp_path: Path, tiny_base: Path):
    rows = [
        {"prompt": "Where is Rome?"},
        {"messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}], "id": "chat"},
        {"other": 1},
        {"prompt": " "},
        {"prompt": "long " * 600},
        {"question": "Where?", "context": "Here."},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    output = tmp_path / "out.csv"
    config = GenerateConfig(
        model=str(tiny_base), input=str(tmp_path / "in.jsonl"), output=str(output), max_new_tokens=4
    )
    answered = generate(config)
    with output.open() as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == ["1", "chat", "6"]
    refused = [json.loads(line) for line in (tmp_path / "out_rejected.jsonl").read_text().splitlines()]
    assert [row["code"] for row in refused][2:] == ["over_max_length", "bad_json"]
    assert {row["code"] for row in refused[:2]} <= {"empty_prompt", "missing_field"}
    assert answered.rows + answered.rejected == 7
    assert "at most 512 tokens, 4 of them for the answer" in refused[2]["expected"]


def test_lines_of_a_text_and_two_models_side_by_side(store: str, tmp_path: Path, tiny_base: Path):
    (tmp_path / "in.txt").write_text("Hello\n\nWhere is Rome?\n")
    config = GenerateConfig(
        compare=f"lab,{tiny_base}", input=str(tmp_path / "in.txt"), output=str(tmp_path / "out.jsonl"), max_new_tokens=3
    )
    generate(config)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["prompt"] for row in rows] == ["Hello", "Where is Rome?"]
    assert list(rows[0]) == ["id", "prompt", "answer of lab", f"answer of {tiny_base}", "same"]
    for name in ("lab", str(tiny_base)):
        opened = open_model(name, lambda run: None, device=CPU)
        prompts = [[*render_turns(asks(row["prompt"]), opened.base.tokenizer)] for row in rows]
        ids = continue_all(opened.model, opened.base.tokenizer, prompts, max_new_tokens=3)
        texts = [text.strip() for text in opened.base.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        assert [row[f"answer of {name}"] for row in rows] == texts
    assert (tmp_path / "out_rejected.jsonl").read_text().count("empty_prompt") == 1


def test_what_cannot_be_answered_is_said(store: str, tmp_path: Path):
    squad = str(write_squad(tmp_path / "in.json", qa_rows(2)))
    with pytest.raises(ConfigError, match="no output was named"):
        generate(GenerateConfig(input=squad))
    with pytest.raises(ConfigError, match=r"compare=lab names no two models"):
        generate(GenerateConfig(input=squad, output="x.jsonl", compare="lab"))
    with pytest.raises(DataError, match=r"no file can be written with the suffix '\.docx'"):
        generate(GenerateConfig(input=squad, output="x.docx"))
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"none of the 2 rows asks anything; first line 1: empty_prompt"):
        generate(GenerateConfig(input=str(tmp_path / "empty.txt"), output="x.jsonl"))
    with pytest.raises(DataError, match="no question fits: id q0"):
        generate(GenerateConfig(input=squad, output="x.jsonl", max_new_tokens=100_000))


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        ("Hello", [("user", "Hello")]),
        ({"instruction": "Add", "input": "1 2"}, [("user", "Add\n1 2")]),
        ({"system": "Short.", "query": "Hi"}, [("system", "Short."), ("user", "Hi")]),
        ({"conversations": [{"from": "human", "value": "Hi"}]}, [("user", "Hi")]),
        ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}, None),
        ({"messages": [{"role": "alien", "content": "Hi"}]}, None),
        ({"label": "x"}, None),
        (7, None),
    ],
)
def test_rows_that_ask_without_an_answer(row, turns):
    found = asks(row)
    assert (found and [tuple(turn) for turn in found]) == turns
