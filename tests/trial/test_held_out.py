"""A part of the training data that is held out when there is no file to evaluate on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from predictor.config import from_values
from predictor.data import hold_out, load
from predictor.data.example import Example, Message
from predictor.data.split import group_of
from predictor.errors import ConfigError, DataError, PredictorError
from predictor.flows.predict import PredictConfig
from predictor.trial.config import finetune_config
from predictor.trial.identity import identity
from predictor.trial.materials import gather


def chat_file(folder: Path, talks: int = 30) -> Path:
    """Each conversation stands twice in the file: after its first answer, and whole."""
    rows = []
    for i in range(talks):
        turns = [
            {"from": "human", "value": f"Who lives in house {i}?"},
            {"from": "gpt", "value": f"Ada number {i} lives there."},
            {"from": "human", "value": "Since when?"},
            {"from": "gpt", "value": f"Since {1900 + i}, I think."},
        ]
        rows += [{"conversations": turns[:2]}, {"conversations": turns}]
    path = folder / "talks.json"
    path.write_text(json.dumps(rows))
    return path


def config(folder: Path, **values: Any):
    return finetune_config(**{"task": "chat", "dataset": str(chat_file(folder)), **values})


def test_chat_holds_out_a_tenth_by_conversation_when_nothing_is_said(tmp_path: Path) -> None:
    m = gather(config(tmp_path))
    held = [*m.scored, *m.dev]
    assert len(held) == 6 == len(m.evaluation.examples)
    assert len(m.train) == 54
    assert not {group_of(example) for example in held} & {group_of(example) for example in m.train}
    assert m.leaked == 0
    assert m.evaluation.source == f"split:0.1 of {m.dataset.source}"
    assert m.evaluation.fingerprint != m.dataset.fingerprint


def test_what_is_held_out_depends_on_texts_alone(tmp_path: Path) -> None:
    examples = load(chat_file(tmp_path)).examples
    left, held = hold_out(examples, 0.2)
    assert (len(left), len(held)) == (48, 12)
    assert hold_out(examples[::-1], 0.2)[1] == held[::-1]
    other = gather(config(tmp_path, eval_dataset="split:0.2", seed=9, train_limit=5))
    assert {e.id for e in (*other.scored, *other.dev)} == {e.id for e in held}
    assert len(other.train) == 5


def test_a_row_longer_by_turns_is_of_the_same_conversation_whoever_the_system_is() -> None:
    asked = Message("user", "Hello  THERE")
    short = Example("1", ("a",), messages=(asked,))
    longer = Example("2", ("b",), messages=(Message("system", "s"), asked, Message("assistant", "a"), asked))
    assert group_of(short) == group_of(longer) != group_of(Example("3", ("a",), messages=(Message("user", "Bye"),)))
    assert group_of(short) == group_of(Example("4", ("a",), question="hello there"))


@pytest.mark.parametrize("name", ["split:", "split:0", "split:0.6", "split:tenth", "split:-0.1", "split:nan"])
def test_a_share_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="holds out no part of the training data") as caught:
        gather(config(tmp_path, eval_dataset=name))
    assert "split:SHARE, a share of the training rows above 0 and up to 0.5" in str(caught.value)


def test_a_held_out_part_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match=r"'split:0\.1' is no dataset"):
        gather(config(tmp_path, dataset="split:0.1"))


def test_one_conversation_cannot_be_divided(tmp_path: Path) -> None:
    path = chat_file(tmp_path, talks=1)
    with pytest.raises(DataError, match=r"no part of the dataset can be held out: 0\.1 of its 2 rows"):
        gather(finetune_config(task="chat", dataset=str(path)))


def test_questions_that_the_task_cannot_use_are_refused_with_what_would_do(tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text('{"dialogue": "A: Hi. B: Bye.", "summary": "They meet."}\n' * 3)
    with pytest.raises(DataError, match="no row can be used for the task 'summarization'") as caught:
        gather(finetune_config(task="summarization", dataset=str(path), eval_dataset="lab:evaluation"))
    assert "asks a question, which a summary does not answer" in str(caught.value)
    assert "-P eval_dataset=split:0.1" in str(caught.value)


def test_what_is_held_out_makes_another_fine_tune_than_the_same_questions_in_a_file(tmp_path: Path) -> None:
    names = ("split:0.1", "split:0.2", "a.json", "b.json")
    found = [identity(config(tmp_path, eval_dataset=name), "rows", "scored", "base") for name in names]
    assert len(set(found)) == 3
    assert found[2] == found[3]


def test_the_default_of_a_task_is_not_one_of_a_ranking() -> None:
    assert finetune_config().evaluation.eval_dataset == "lab:evaluation"
    assert from_values(PredictConfig, {"task": "chat"}).evaluation.eval_dataset == ""
