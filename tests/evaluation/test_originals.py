"""Original tasks and knowledge questions as people name them, and what is wrong with a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.tiny import qa_rows, write_squad
from predictor.data import load
from predictor.errors import ConfigError, DataError
from predictor.evaluation.choices import ChoiceItem, read_choices, spread
from predictor.evaluation.everyday import CHATS, FACTS, TEXTS
from predictor.evaluation.originals import parse_originals, read_originals, read_texts
from predictor.evaluation.settings import DEFAULTS, ENGLISH, Comparison, defaults_of
from predictor.lab.original import fact_examples, original_examples
from predictor.trial.sources import dataset_source


def test_names_kinds_and_data_are_told_apart():
    assert parse_originals("qa:a/b.json, mine=chat:lab:original:size=8,lm_eval:arc_easy") == [
        ("qa-b", "qa", "a/b.json"),
        ("mine", "chat", "lab:original:size=8"),
        ("lm_eval-arc_easy", "lm_eval", "arc_easy"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.json", "'a.json' does not say its kind"),
        ("qq:a.json", "'qq' is no kind of original task"),
    ],
)
def test_what_is_no_original_task(text: str, message: str):
    with pytest.raises(ConfigError, match=message):
        parse_originals(text)


def test_every_base_has_something_to_forget():
    for base in ("lab", "smollm2", "./anything"):
        found = read_originals(Comparison(), defaults_of(base), dataset_source)
        assert [original.name for original in found][-1] == "knowledge"
        assert len(found) >= 2
        assert len(found[-1].items) >= 60
    assert DEFAULTS["smollm2"] == ENGLISH == defaults_of("owner/model")
    assert read_originals(Comparison(original="none", knowledge="none"), ENGLISH, dataset_source) == []


def test_two_tasks_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="two original tasks are called chat-everyday"):
        read_originals(Comparison(original="chat:everyday,chat:everyday"), ENGLISH, dataset_source)


def test_rows_that_were_trained_on_test_nothing(tmp_path: Path):
    path = write_squad(tmp_path / "a.json", qa_rows(10))
    rows = load(str(path)).examples
    [found, _] = read_originals(Comparison(original=f"qa:{path}"), ENGLISH, dataset_source, rows[:4])
    assert (len(found.examples), found.left_out) == (6, 4)
    with pytest.raises(DataError, match="every row of the original task 'qa-a' was trained on"):
        read_originals(Comparison(original=f"qa:{path}"), ENGLISH, dataset_source, rows)


def test_a_file_of_the_wrong_kind_is_told(tmp_path: Path):
    table = tmp_path / "rows.jsonl"
    table.write_text("\n".join(json.dumps({"text": f"text {i}", "label": "ab"[i % 2]}) for i in range(8)))
    with pytest.raises(DataError, match="no row of the original task 'qa-rows' can be used: lacks context") as caught:
        read_originals(Comparison(original=f"qa:{table}"), ENGLISH, dataset_source)
    assert "name its kind" in str(caught.value)
    with pytest.raises(DataError, match="is no question with choices"):
        read_originals(Comparison(original=f"choice:{table}"), ENGLISH, dataset_source)


def test_texts(tmp_path: Path):
    (tmp_path / "a.txt").write_text("One text\non two lines.\n\n\nAnother.\n")
    (tmp_path / "b.jsonl").write_text('{"text": "x y"}\n\n{"text": "z"}\n')
    assert read_texts(str(tmp_path / "a.txt")) == ("One text\non two lines.", "Another.")
    assert read_texts(str(tmp_path / "b.jsonl")) == ("x y", "z")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", " \n\n ", "holds no text"),
        ("a.pdf", "x", "'.pdf' is no file of texts"),
        ("a.jsonl", '{"text": 1}', "the row has no text"),
        ("a.jsonl", "{", "the line is no JSON"),
        ("absent.txt", None, "the texts cannot be read"),
    ],
)
def test_texts_that_are_none(tmp_path: Path, name: str, content: str | None, message: str):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read_texts(str(tmp_path / name))


def test_choices_as_mmlu_has_them_and_as_rows(tmp_path: Path):
    (tmp_path / "old_things_test.csv").write_text('"Who, then?",me,you,he,she,C\nWhat?,a,b,c,d,A\n')
    (tmp_path / "more.jsonl").write_text(
        json.dumps({"question": "q", "choices": ["x", "y"], "answer": 1, "subject": "s"})
        + "\n"
        + json.dumps({"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "1"})
    )
    found = read_choices(str(tmp_path))
    assert [item.subject for item in found] == ["s", "more", "old_things", "old_things"]
    assert [item.right for item in found] == [1, 0, 2, 0]
    assert found[2].choices == ("me", "you", "he", "she")
    assert len(read_choices(str(tmp_path / "*.csv"))) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "What?,a,b,E\n", "the row has 4 cells and ends with 'E'"),
        ("a.csv", "What?,a,b,A\nWhat?,a,b,c,A\n", "row 2"),
        ("a.csv", "What?,a, ,A\n", "the row has 4 cells"),
        ("a.csv", "", "holds no question"),
        ("a.jsonl", "{", "cannot be read"),
        ("a.json", "{}", "no list of questions"),
        ("a.json", '[{"question": "q", "choices": ["a", "b"], "answer": 2}]', "no question with choices"),
        ("absent.csv", None, "no such file"),
    ],
)
def test_choices_that_are_none(tmp_path: Path, name: str, content: str | None, message: str):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_choices(str(tmp_path / name))
    assert message in str(caught.value)


def test_a_limit_takes_from_every_subject_and_from_all_over_each():
    items = [ChoiceItem(f"{s}{i}", s, "q", ("a", "b"), 0) for s in "xyz" for i in range(20)]
    few = spread([*items, ChoiceItem("w", "w", "q", ("a", "b"), 0)], 31)
    assert len(few) == 31
    assert {item.subject for item in few} == set("xyzw")
    assert {"x0", "x19"} <= {item.id for item in few}
    assert spread(items, 0) == items


def test_the_packages_own_rows_are_sound():
    facts = [ChoiceItem.of(example) for example in (*FACTS, *fact_examples(40))]
    for item in facts:
        assert len(set(item.choices)) == 4, item
    assert {item.right for item in facts} == {0, 1, 2, 3}
    assert len(set(TEXTS)) == len(TEXTS)
    assert len({example.id for example in CHATS}) == len(CHATS)


def test_the_labs_own_chats_are_those_of_its_base_and_are_no_familys_rows():
    few, many = original_examples(6, 3), original_examples(20, 3)
    assert many[:6] == few
    assert original_examples(6, 4) != few
    assert len(load(dataset_source("lab:original:size=12:seed=3")).examples) == 12
    with pytest.raises(ConfigError, match="unknown parameter 'dial=1'"):
        dataset_source("lab:original:dial=1")
    with pytest.raises(ConfigError, match="size=0 is below 1"):
        dataset_source("lab:original:size=0")
