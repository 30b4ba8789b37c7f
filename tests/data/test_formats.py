"""Each format: found by content, read into Examples, refused with a code."""

from __future__ import annotations

from pathlib import Path

import pytest

from predictor.data import Message, load
from predictor.errors import ConfigError, DataError
from tests.data.samples import ROWS, squad_document, write


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("file", ["rows.jsonl", "rows.json", "rows.jsonl.gz", "unnamed"])
def test_format_is_found_by_content(tmp_path: Path, name: str, file: str) -> None:
    dataset = load(write(tmp_path / file, ROWS[name]))
    assert dataset.format == name
    assert "30 of 30 sampled rows" in dataset.format_reason
    assert dataset.rows == len(dataset.examples) == 30


def test_squad_document_gives_one_example_a_question(tmp_path: Path) -> None:
    dataset = load(write(tmp_path / "squad.json", squad_document(articles=2, paragraphs=3)))
    first, second = dataset.examples[:2]
    assert dataset.format == "squad"
    assert dataset.rows == 2 * 3 * 2
    assert first.answers == ("Brun 00",), "the two references are one distinct answer"
    assert first.context is not None
    assert first.context[first.answer_starts[0] :].startswith("Brun 00")
    assert second.answers == ()
    assert first.group == second.group != dataset.examples[2].group
    assert first.extra == {"title": "Village_0"}


def test_squad_refuses_questions_one_by_one(tmp_path: Path) -> None:
    document = squad_document(articles=1, paragraphs=3)
    paragraphs = document["data"][0]["paragraphs"]
    del paragraphs[0]["qas"][0]["question"]
    paragraphs[0]["qas"][1]["is_impossible"] = False
    paragraphs[1]["context"] = " "
    del paragraphs[2]["qas"]
    paragraphs.append({"context": "Rain fell.", "qas": [{"id": "ok", "question": "What fell?", "answers": ["Rain"]}]})
    dataset = load(write(tmp_path / "squad.json", document), drop_bad=True)
    assert [(r.code, r.row) for r in dataset.rejections] == [
        ("missing_field", "data[0].paragraphs[0].qas[0]"),
        ("empty_answer", "data[0].paragraphs[0].qas[1]"),
        ("empty_prompt", "data[0].paragraphs[1].qas[0]"),
        ("empty_prompt", "data[0].paragraphs[1].qas[1]"),
        ("missing_field", "data[0].paragraphs[2]"),
    ]
    assert dataset.examples[0].answers == ("Rain",)


def test_squad_offsets_that_do_not_fit_are_mended_or_dropped(tmp_path: Path) -> None:
    rows = [
        {"context": "A red fox.", "question": "Which?", "answers": {"text": ["red"], "answer_start": [0]}},
        {"context": "A fox, a fox.", "question": "Which?", "answers": {"text": ["fox"], "answer_start": [3]}},
        {"context": "A red fox.", "question": "Which?", "answer": "red"},
    ]
    examples = load(write(tmp_path / "flat.jsonl", rows)).examples
    assert [example.answer_starts for example in examples] == [(2,), (), (2,)]


def test_sharegpt_roles_and_tools(tmp_path: Path) -> None:
    rows = [*ROWS["sharegpt"], {"conversations": [{"from": "human", "value": "hi"}, {"from": "cat", "value": "x"}]}]
    dataset = load(write(tmp_path / "s.json", rows), drop_bad=True)
    first = dataset.examples[0]
    assert [message.role for message in first.messages] == ["user", "assistant", "tool"]
    assert first.answers == ("It is 0 degrees.",)
    assert first.extra["tools"] == '[{"name": "weather"}]'
    assert [r.code for r in dataset.rejections] == ["unknown_role"]


def test_alpaca_input_system_and_history(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Sum up.", "input": "Long text.", "output": "Short."},
        {"instruction": "", "input": "What is rain?", "output": "Water."},
        {
            "instruction": "And now?",
            "input": "",
            "output": "Later.",
            "system": "Be brief.",
            "history": [["Hi", "Hello"]],
        },
        {"instruction": "Say it.", "input": "", "output": " "},
        {"instruction": "", "input": "", "output": "x"},
    ]
    dataset = load(write(tmp_path / "a.json", rows), drop_bad=True)
    one, two, three = dataset.examples
    assert (one.context, one.question, one.answers) == ("Long text.", "Sum up.", ("Short.",))
    assert (two.context, two.question) == (None, "What is rain?")
    assert three.messages == (
        Message("system", "Be brief."),
        Message("user", "Hi"),
        Message("assistant", "Hello"),
        Message("user", "And now?"),
    )
    assert [r.code for r in dataset.rejections] == ["empty_answer", "empty_prompt"]


def test_prompt_that_asks_about_a_passage_fills_context(tmp_path: Path) -> None:
    rows = [{"prompt": "Context: Rain fell.\nQuestion: What fell?", "completion": "Rain"}]
    example = load(write(tmp_path / "p.jsonl", rows)).examples[0]
    assert (example.context, example.question, example.answers) == ("Rain fell.", "What fell?", ("Rain",))
    assert example.messages == (Message("user", "Context: Rain fell.\nQuestion: What fell?"),)


def test_conversational_prompt_and_completion(tmp_path: Path) -> None:
    rows = [
        {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Hello"}]},
        {"prompt": [{"role": "user", "content": "Hi"}], "completion": []},
    ]
    dataset = load(write(tmp_path / "p.jsonl", rows), drop_bad=True)
    assert dataset.format == "prompt_completion"
    assert dataset.examples[0].messages == (Message("user", "Hi"),)
    assert dataset.rejections[0].code == "wrong_type"


@pytest.mark.parametrize(
    ("row", "text", "label"),
    [
        ({"sentence": "fine", "label": 1}, "fine", "1"),
        ({"review": "fine", "sentiment": "good"}, "fine", "good"),
        ({"premise": "It rains.", "hypothesis": "It is wet.", "label": 0}, "It rains.\nIt is wet.", "0"),
        ({"text": "fine", "label": True}, "fine", "true"),
        ({"text": "fine", "label": 2.0}, "fine", "2"),
    ],
)
def test_classification_columns(tmp_path: Path, row: dict, text: str, label: str) -> None:
    dataset = load(write(tmp_path / "c.jsonl", [row, row]))
    assert dataset.format == "classification"
    assert (dataset.examples[0].text, dataset.examples[0].label) == (text, label)


def test_classification_columns_without_known_names(tmp_path: Path) -> None:
    lines = [f"{n % 3}\tthis is the text of row {n} and it is long" for n in range(40)]
    dataset = load(write(tmp_path / "bare.tsv", "\n".join(lines)))
    assert "told by their values" in dataset.format_reason
    assert (dataset.rows, dataset.examples[4].label) == (40, "1")


def test_classification_refuses_bad_labels(tmp_path: Path) -> None:
    rows = [{"text": f"row {n}", "label": n % 2} for n in range(5)]
    rows += [{"text": "x", "label": value} for value in (None, 1.5, [1], "")] + [
        {"text": "x"},
        {"text": "", "label": 1},
    ]
    dataset = load(write(tmp_path / "c.json", rows), drop_bad=True)
    assert [r.code for r in dataset.rejections] == [
        "missing_field",
        "bad_label",
        "bad_label",
        "bad_label",
        "missing_field",
        "empty_prompt",
    ]


def test_summaries_with_several_references(tmp_path: Path) -> None:
    rows = [{"dialogue": "A: Hi.", "summary1": "A greets.", "summary2": "A says hi.", "topic": "greeting"}]
    dataset = load(write(tmp_path / "d.jsonl", rows))
    assert dataset.format == "summarization"
    assert dataset.examples[0].answers == ("A greets.", "A says hi.")
    assert dataset.examples[0].extra == {"topic": "greeting"}


def test_scores(tmp_path: Path) -> None:
    base = ROWS["score"][0]
    rows = [base, {**base, "score": "7.5"}, {**base, "score": "high"}, {**base, "company_info": {"name": "Lamps"}}]
    dataset = load(write(tmp_path / "s.jsonl", rows), drop_bad=True)
    assert dataset.format == "score"
    assert [example.answer for example in dataset.examples] == ["0", "7.5", "0"]
    assert dataset.examples[2].context == '{"name": "Lamps"}'
    assert [r.code for r in dataset.rejections] == ["bad_score"]


def test_unknown_format_lists_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no known format; the first row is an object with 'colour'") as caught:
        load(write(tmp_path / "x.jsonl", [{"colour": "red"}]))
    assert "messages[] with role and content" in str(caught.value)


def test_wanted_format_that_does_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", ROWS["alpaca"])
    with pytest.raises(DataError, match="no sampled row is in the format 'squad'"):
        load(path, format="squad")
    with pytest.raises(ConfigError, match="unknown dataset format 'alpacca'") as caught:
        load(path, format="alpacca")
    assert "did you mean 'alpaca'?" in str(caught.value)


def test_refused_rows_stop_a_load_unless_dropped(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.jsonl", [*ROWS["prompt_completion"], {"prompt": "Why?"}, {"prompt": 3, "completion": "x"}]
    )
    with pytest.raises(DataError, match="2 of 32 rows are refused: 1 missing_field, 1 wrong_type") as caught:
        load(path)
    assert "line 31, field 'completion': missing_field" in str(caught.value)
    dataset = load(path, drop_bad=True, limit_rejections=1)
    assert (dataset.rows, dataset.rejected, len(dataset.rejections)) == (32, 2, 1)
    assert dataset.rejections[0].content == {"prompt": "Why?"}


def test_no_accepted_row_is_always_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [{"prompt": "", "completion": "x"}])
    with pytest.raises(DataError, match="no row can be used: 1 empty_prompt"):
        load(path, drop_bad=True)


def test_repeated_ids_become_unique_and_are_mentioned(tmp_path: Path) -> None:
    rows = [{"id": "a", "prompt": f"Say {n}.", "completion": "x"} for n in range(3)]
    dataset = load(write(tmp_path / "x.jsonl", rows))
    assert [example.id for example in dataset.examples] == ["a", "a#2", "a#3"]
    assert dataset.notes == ("2 rows repeat the id of an earlier row; a number was added to their ids",)
