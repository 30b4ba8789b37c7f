"""Marks of a chat model: what they are, what the judge itself is worth, and prompts that cannot be put."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.tiny import qa_rows
from predictor.data.example import Example
from predictor.errors import ConfigError
from predictor.evaluation.judging import MARKS, PROMPT, Judge, Judged, check_prompt, marked
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.device import detect
from predictor.tasks import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> BaseModel:
    return load_base_model(str(tiny_base), detect())


def examples(n: int) -> list[Example]:
    return [
        Example(id=str(i), question=question, context=context, answers=(answer,))
        for i, (context, question, answer) in enumerate(qa_rows(n))
    ]


def test_a_mark_is_the_expected_one_where_the_judge_would_begin_to_write(base: BaseModel):
    import torch

    rows, task = examples(5), TASKS.get("qa")
    judge = Judge("tiny", base.model, base.tokenizer, "{question} {answer} ({reference})")
    counted: list[int] = []
    found = marked(judge, task, rows, ["Rome"] * 5, ["", *["Oslo"] * 4], counted.append)
    assert sum(counted) == 20
    ids = [base.tokenizer(mark, add_special_tokens=False)["input_ids"] for mark in MARKS]
    assert {len(each) for each in ids} == {1}
    for i, answer in ((0, "(nothing)"), (3, "Oslo")):
        prompt = f"{task.prompt(rows[i])[0].content} {answer} ({rows[i].answer})"
        turn = [{"role": "user", "content": prompt}]
        text = base.tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
        read = base.tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            scores = base.model(input_ids=read).logits[0, -1, [each[0] for each in ids]]
        shares = scores.double().softmax(0).numpy()
        assert found.tuned[i] == pytest.approx(shares @ np.arange(5) / 4, abs=1e-5)
    assert found.score.n == 5
    assert 0 <= found.sense <= 1


def test_of_rows_that_the_judge_cannot_read_nothing_is_said(base: BaseModel):
    rows = examples(3)
    long = " ".join(["Rome"] * 3000)
    found = marked(Judge("tiny", base.model, base.tokenizer), TASKS.get("qa"), rows, ["Rome", long, "a"], ["b"] * 3)
    assert np.isnan(found.base).tolist() == [False, True, False]
    assert (found.score.n, found.read.tolist()) == (2, [0, 2])
    assert "1 rows were too long for it" in found.note
    none = marked(Judge("tiny", base.model, base.tokenizer), TASKS.get("qa"), rows[:1], [long], [long])
    assert none.score is None
    assert math.isnan(none.sense)  # there is no other row whose answer could stand there
    assert "unknown" in none.note


def test_a_judge_is_worth_how_often_it_tells_right_from_wrong():
    nothing = np.zeros(4)
    right = np.array([0.9, 0.5, 0.2, math.nan])
    wrong = np.array([0.1, 0.5, 0.4, 0.1])
    assert Judged("j", nothing, nothing, right, wrong).sense == pytest.approx((1 + 0.5 + 0) / 3)


@pytest.mark.parametrize(
    ("prompt", "named"),
    [("How good?", "nothing"), ("{answer} {score}", "answer, score"), ("{answer} {", "cannot fill in"),
     ("{question}", "question"), ("{} {answer}", "answer"),
     ("{answer:>{width}}", "cannot fill in"), ("{answer!x}", "cannot fill in")],
)  # fmt: skip
def test_prompts_that_cannot_be_put(prompt: str, named: str):
    with pytest.raises(ConfigError, match=named):
        check_prompt(prompt)


def test_prompts_that_can_be_put():
    for prompt in (PROMPT, "{answer}", '{{"answer": "{answer}"}}'):
        check_prompt(prompt)
