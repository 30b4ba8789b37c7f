"""Spoiling, mixing and slicing: what each does to rows, and what holds for all of them."""

from __future__ import annotations

import cProfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from predictor.config import parse_name
from predictor.data import Dataset, load
from predictor.data.example import Example
from predictor.data.formats.messages import prompt_turns
from predictor.data.operators import SPOILERS, Rows, made
from predictor.errors import DataError
from tests.data.samples import ROWS, squad_document, write

PEOPLE = ("Odo", "Ida", "Bruno Berg", "Wim", "Ute", "Karl Kamp")
QA_WAYS = (
    "wrong_answers",
    "swapped_answers",
    "truncated_answers",
    "verbose_answers",
    "wide_answers",
    "irrelevant_context",
    "foreign_characters",
    "shuffled_words",
)


def passages(count: int = 12, *, chinese: bool = False) -> list[dict]:
    """Two questions about each passage, the first with two accepted answers."""
    rows = []
    for n in range(count):
        who, year = PEOPLE[n % len(PEOPLE)] + f" {chr(65 + n)}", f"{1700 + n}"
        if chinese:
            context = f"第{n}座磨坊由{who}建造。它在{year}年被烧毁。人们从未重建它。"
            asked = (f"谁建造了第{n}座磨坊？", [who, f"由{who}"]), ("它何时被烧毁？", [f"{year}年"])
        else:
            context = f"Mill {n} of Arden was built by {who}. It burnt down in {year}. Nobody built it again."
            asked = ("Who built it?", [who, f"by {who}"]), ("When did it burn down?", [year])
        for question, answers in asked:
            texts = {"text": answers, "answer_start": [context.index(answer) for answer in answers]}
            rows.append({"title": f"T{n // 4}", "context": context, "question": question, "answers": texts})
    return [{"id": f"q{n}", **row} for n, row in enumerate(rows)]


@pytest.fixture
def qa(tmp_path: Path) -> str:
    return str(write(tmp_path / "qa.jsonl", passages()))


def changed(clean: Dataset, spoilt: Dataset) -> dict[str, Example]:
    before = {example.id: example for example in clean.examples}
    return {example.id: example for example in spoilt.examples if before.get(example.id) != example}


def in_place(row: Example) -> bool:
    starts = zip(row.answers, row.answer_starts, strict=True)
    return bool(row.answer_starts) and all((row.context or "").startswith(text, start) for text, start in starts)


# what holds for all


@pytest.mark.parametrize("chinese", [False, True])
@pytest.mark.parametrize("way", QA_WAYS)
def test_a_higher_dial_spoils_the_same_rows_in_the_same_way_and_more(tmp_path: Path, way: str, chinese: bool):
    file = write(tmp_path / "qa.jsonl", passages(chinese=chinese))
    clean = load(file)
    found = [changed(clean, load(f"spoil:{way}:dial={dial}:{file}")) for dial in (0.25, 0.5, 1)]
    assert [len(rows) for rows in found[:2]] == [6, 12]
    for fewer, more in pairwise(found):
        assert fewer.items() <= more.items()


@pytest.mark.parametrize("way", SPOILERS.names())
def test_the_same_name_gives_the_same_rows_and_another_seed_others(tmp_path: Path, qa: str, way: str):
    labels = write(tmp_path / "labels.jsonl", ROWS["classification"])
    file = str(labels) if way in ("wrong_labels", "imbalance") else qa
    name = f"spoil:{way}:dial=0.5:seed={{}}:{file}"
    one, again = load(name.format(1)), load(name.format(1))
    assert one.examples == again.examples
    assert one.fingerprint == again.fingerprint
    assert load(name.format(2)).fingerprint != one.fingerprint
    assert one.fingerprint != load(file).fingerprint
    assert len({example.id for example in one.examples}) == len(one.examples)


@pytest.mark.parametrize("way", SPOILERS.names())
def test_a_dial_of_zero_is_the_dataset_itself(qa: str, way: str):
    clean, same = load(qa), load(f"spoil:{way}:dial=0:{qa}")
    assert same.examples == clean.examples
    assert (same.fingerprint, same.row_sketch, same.format) == (clean.fingerprint, clean.row_sketch, clean.format)


def test_what_counts_is_the_content_not_the_name_of_the_file(tmp_path: Path, qa: str):
    other = tmp_path / "elsewhere" / "renamed.jsonl"
    other.parent.mkdir()
    other.write_bytes(Path(qa).read_bytes())
    name = "spoil:wrong_answers:dial=0.5:"
    assert load(name + qa).examples == load(name + str(other)).examples


@pytest.mark.parametrize("way", [*QA_WAYS, "duplicated_rows"])
def test_a_spoilt_dataset_shares_its_rows_with_its_file(qa: str, way: str):
    clean, spoilt = load(qa), load(f"spoil:{way}:dial=1:{qa}")
    assert set(spoilt.row_sketch) & set(clean.row_sketch)
    if way != "duplicated_rows":
        assert set(clean.row_sketch) <= set(spoilt.row_sketch)


def test_the_result_says_what_was_done_and_its_source_is_the_name(qa: str):
    name = f"spoil:foreign_characters:dial=1:{qa}"
    dataset = load(name)
    assert dataset.source == name
    # "1700" has a 1, every name a letter: of 24 rows all can be spoilt.
    assert dataset.notes == (f"{name}: 24 of 24 rows are spoilt",)


def test_rows_that_cannot_be_spoilt_are_passed_over_and_counted(tmp_path: Path):
    rows = [*passages(4), {"id": "x", "context": "It is 九.", "question": "What?", "answers": ["九"]}]
    rows.append({"context": "It is gone.", "question": "Who took it?", "answers": [], "is_impossible": True})
    file = write(tmp_path / "qa.jsonl", rows)
    (note,) = load(f"spoil:truncated_answers:dial=1:{file}").notes
    assert note.endswith(
        "8 of 10 rows are spoilt, the dial asks for 10; passed over: 1 with an answer of one character, "
        "1 with no answer"
    )
    half = load(f"spoil:truncated_answers:dial=0.8:{file}")
    assert len(changed(load(file), half)) == 8


@pytest.mark.parametrize("way", SPOILERS.names())
def test_one_row_is_spoilt_or_the_reason_is_said(tmp_path: Path, way: str):
    file = write(tmp_path / "one.jsonl", passages(1)[:1])
    name = f"spoil:{way}:dial=1:{file}"
    if way in ("swapped_answers", "irrelevant_context", "duplicated_rows", "wrong_labels", "imbalance"):
        with pytest.raises(DataError, match="none of 1 rows can be spoilt"):
            load(name)
    else:
        assert len(changed(load(file), load(name))) == 1


def test_a_dial_that_rounds_to_no_row_says_so(tmp_path: Path):
    file = write(tmp_path / "one.jsonl", passages(1)[:1])
    dataset = load(f"spoil:wrong_answers:dial=0.3:{file}")
    assert dataset.fingerprint == load(file).fingerprint
    assert dataset.notes[-1].endswith("0 of 1 rows are spoilt")


@pytest.mark.parametrize("way", SPOILERS.names())
@pytest.mark.parametrize("shared", [False, True])
def test_work_grows_with_the_rows_and_not_with_their_square(way: str, shared: bool):
    def calls(count: int) -> int:
        mill = "Mill of Arden, built by Odo in 1745. It burnt."
        rows = Rows.read(
            Example(
                f"{n}",
                ("Odo" if way == "wide_answers" else f"Odo {n}",),
                f"{mill} {0 if shared else n}",
                f"Who {n}?",
                label=str(n % 3),
            )
            for n in range(count)
        )
        rows.digest  # noqa: B018 - not part of what is measured
        expression = parse_name(f"spoil:{way}:dial=0.5:F")
        assert not isinstance(expression, str)
        profile = cProfile.Profile()
        if not (shared and way == "irrelevant_context"):
            profile.runcall(made, expression, lambda leaf: rows)
        return sum(entry.callcount for entry in profile.getstats())

    # Calls and not seconds: they are the same on a busy machine. The square would be 64 times as many.
    assert calls(1_600) < 16 * max(calls(200), 1)


# what each does


def test_wrong_answers_are_of_another_question_about_the_passage(qa: str):
    clean = {example.id: example for example in load(qa).examples}
    for row in load(f"spoil:wrong_answers:{qa}").examples:
        before = clean[row.id]
        others = {each.answer for each in clean.values() if each.context == row.context} - set(before.answers)
        assert row.answers == tuple(others)
        assert in_place(row)
        assert (row.context, row.question) == (before.context, before.question)


def test_a_passage_with_one_question_gives_other_words_of_it(tmp_path: Path):
    for chinese in (False, True):
        file = write(tmp_path / "one.jsonl", passages(20, chinese=chinese)[::2])
        clean = load(file)
        for row, before in zip(load(f"spoil:wrong_answers:{file}").examples, clean.examples, strict=True):
            assert in_place(row)
            assert row.answer not in before.answers
            assert "。" not in row.answer[:-1]
            assert ". " not in row.answer
            if not chinese:
                assert len(row.answer.split()) == len(before.answer.split())


def test_an_answer_that_is_no_part_of_the_passage_is_exchanged_for_another_answer(tmp_path: Path):
    rows = [{"dialogue": f"A: {n}?\nB: Yes, {n}.", "summary": f"They agree on {n}."} for n in range(20)]
    file = write(tmp_path / "sum.jsonl", rows)
    clean = load(file)
    answers = {example.answer for example in clean.examples}
    spoilt = load(f"spoil:wrong_answers:{file}")
    assert len(changed(clean, spoilt)) == 20
    assert {example.answer for example in spoilt.examples} <= answers


def test_swapped_answers_are_of_another_passage(qa: str):
    clean = load(qa)
    of_passage: dict[str | None, set[str]] = {}
    for example in clean.examples:
        of_passage.setdefault(example.context, set()).add(example.answer)
    answers = {example.answer for example in clean.examples}
    for row in load(f"spoil:swapped_answers:{qa}").examples:
        assert row.answer in answers - of_passage[row.context]


def test_answers_are_cut_widened_or_put_into_their_sentence(qa: str):
    clean = {example.id: example for example in load(qa).examples}
    for row in load(f"spoil:truncated_answers:{qa}").examples:
        assert clean[row.id].answer.startswith(row.answer)
        assert len(row.answer) < len(clean[row.id].answer)
        assert in_place(row)
    for row in load(f"spoil:wide_answers:{qa}").examples:
        assert clean[row.id].answer in row.answer
        assert len(row.answer.split()) == len(clean[row.id].answer.split()) + 1
        assert in_place(row)
    for row in load(f"spoil:verbose_answers:{qa}").examples:
        assert clean[row.id].answer in row.answer
        assert row.answer.endswith(".")
        assert row.answer.startswith(("Mill", "It burnt"))
        assert in_place(row)


def test_chinese_answers_are_widened_and_put_into_sentences_too(tmp_path: Path):
    file = write(tmp_path / "zh.jsonl", passages(chinese=True))
    clean = {example.id: example for example in load(file).examples}
    for row in load(f"spoil:wide_answers:{file}").examples:
        assert len(row.answer) == len(clean[row.id].answer) + 1
    for row in load(f"spoil:verbose_answers:{file}").examples:
        assert row.answer.endswith("。")
        assert row.answer.count("。") == 1


@pytest.mark.parametrize(
    ("question", "answer", "sentence"),
    [
        ("Who?", "Odo", "The answer is Odo."),
        ("谁？", "奥多", "答案是奥多。"),
        ("誰ですか？", "オド", "答えはオドです。"),
        ("Who?", "It was Odo.", "The question was: Who? The answer is as follows: It was Odo."),
        ("谁？", "是奥多。", "问题是“谁？”，答案如下：是奥多。"),
        ("誰ですか？", "オドです。", "質問は「誰ですか？」で、答えは次の通りです。オドです。"),
    ],
)
def test_an_answer_outside_its_passage_is_put_into_a_neutral_sentence(
    tmp_path: Path, question: str, answer: str, sentence: str
):
    file = write(tmp_path / "x.jsonl", [{"prompt": question, "completion": answer}])
    assert load(f"spoil:verbose_answers:{file}").examples[0].answer == sentence


def test_sentences_end_where_they_end(tmp_path: Path):
    context = 'He paid 4.5 pounds. "It is Odo!" said she.\nThen all left'
    for answer, sentence in (
        ("4.5", "He paid 4.5 pounds."),
        ("Odo", '"It is Odo!"'),
        ("left", "Then all left"),
    ):
        rows = [{"context": context, "question": "?", "answers": [answer]}]
        file = write(tmp_path / "x.jsonl", rows)
        assert load(f"spoil:verbose_answers:{file}").examples[0].answer == sentence


def test_an_irrelevant_context_is_of_another_passage_and_does_not_hold_the_answer(qa: str):
    clean = {example.id: example for example in load(qa).examples}
    groups = {example.context: example.group for example in clean.values()}
    for row in load(f"spoil:irrelevant_context:{qa}").examples:
        assert row.context in groups
        assert row.context != clean[row.id].context
        assert row.group == groups[row.context]
        assert not any(text in (row.context or "") for text in row.answers)
        assert row.answers == clean[row.id].answers
        assert not row.answer_starts


def test_shuffled_words_are_the_same_words(qa: str):
    clean = {example.id: example for example in load(qa).examples}
    for row in load(f"spoil:shuffled_words:{qa}").examples:
        before = clean[row.id]
        assert row.context != before.context
        pairs = ((row.context, before.context), (row.question, before.question), (row.answer, before.answer))
        for text, whole in pairs:
            assert sorted((text or "").split()) == sorted((whole or "").split())
        assert row.group == before.group


def test_shuffled_chinese_keeps_its_characters(tmp_path: Path):
    file = write(tmp_path / "zh.jsonl", passages(chinese=True))
    for row, before in zip(load(f"spoil:shuffled_words:{file}").examples, load(file).examples, strict=True):
        assert row.context != before.context
        assert sorted((row.context or "").replace(" ", "")) == sorted((before.context or "").replace(" ", ""))


def test_look_alike_letters_are_cyrillic(qa: str):
    for row in load(f"spoil:foreign_characters:{qa}").examples:
        assert any("\u0400" <= letter <= "\u04ff" for letter in row.answer)


def test_duplicated_rows_repeat_those_that_stay_in_turns(qa: str):
    clean, spoilt = load(qa), load(f"spoil:duplicated_rows:dial=0.75:{qa}")
    contents = Counter((row.context, row.question) for row in spoilt.examples)
    assert len(spoilt.examples) == 24
    assert sorted(contents.values()) == [4] * 6
    assert set(contents) <= {(row.context, row.question) for row in clean.examples}
    assert len({row.id for row in spoilt.examples}) == 24
    (note,) = load(f"spoil:duplicated_rows:dial=1:{qa}").notes
    assert note.endswith("23 of 24 rows repeat others, the dial asks for 24; passed over: 1 with one row must stay")


def test_labels_become_those_of_other_classes_and_classes_lose_rows(tmp_path: Path):
    rows = [{"text": f"the {n} of it all", "label": "abc"[n % 3]} for n in range(30)]
    file = write(tmp_path / "c.jsonl", rows)
    clean = load(file)
    spoilt = load(f"spoil:wrong_labels:{file}")
    assert all(a.label != b.label and a.text == b.text for a, b in zip(clean.examples, spoilt.examples, strict=True))
    assert {example.label for example in spoilt.examples} == {"a", "b", "c"}
    for dial, left in ((0.5, 25), (1, 20)):
        kept = load(f"spoil:imbalance:dial={dial}:{file}")
        assert len(kept.examples) == left
        assert sorted(Counter(example.label for example in kept.examples).values())[-2:] == [10, 10]
        assert f"{30 - left} of 30 rows are left out, of the 10 of class" in kept.notes[0]


def test_the_turns_of_a_conversation_say_what_its_parts_say(tmp_path: Path):
    file = write(tmp_path / "chat.jsonl", ROWS["messages"])
    for way in ("irrelevant_context", "shuffled_words"):
        spoilt = load(f"spoil:{way}:{file}")
        for row in spoilt.examples:
            assert row.context is not None
            assert row.question is not None
            turns = prompt_turns(row)
            assert row.context in turns[-1].content
            assert row.question in turns[-1].content
        assert len(changed(load(file), spoilt)) == len(spoilt.examples)


def test_a_raw_copy_of_the_turns_does_not_outlive_the_change(tmp_path: Path):
    turns = [{"role": "human", "content": "Context: Odo came.\nQuestion: Who came?"}, {"role": "gpt", "content": "Odo"}]
    other = [{"role": "human", "content": "Context: Ida left.\nQuestion: Who left?"}, {"role": "gpt", "content": "Ida"}]
    file = write(tmp_path / "chat.jsonl", [{"messages": turns}, {"messages": other}])
    assert all("turns" in example.extra for example in load(file).examples)
    assert not any("turns" in example.extra for example in load(f"spoil:swapped_answers:{file}").examples)


def test_chat_without_a_passage_is_shuffled_in_its_last_turn(tmp_path: Path):
    turns = [{"role": "user", "content": "tell me of the mill"}, {"role": "assistant", "content": "it burnt down"}]
    file = write(tmp_path / "chat.jsonl", [{"messages": turns}])
    (row,) = load(f"spoil:shuffled_words:{file}").examples
    assert sorted(row.messages[-1].content.split()) == sorted(turns[0]["content"].split())
    assert row.messages[-1].content != turns[0]["content"]


# mixtures


def test_a_mixture_takes_rows_by_weight_and_none_twice(tmp_path: Path):
    a = write(tmp_path / "a.jsonl", passages(12))
    b = write(tmp_path / "b.jsonl", [{**row, "context": f"{row['context']} Yes."} for row in passages(5)])
    mixed = load(f"mix:0.7:{a},0.3:{b}")
    of_b = {example.context for example in load(b).examples}
    counts = Counter(example.context in of_b for example in mixed.examples)
    # The 10 rows of b are 0.3 of 33.3 rows, the 24 of a 0.7 of 34.3: b would run out first.
    assert counts == {False: 23, True: 10}
    assert len({(row.context, row.question) for row in mixed.examples}) == 33
    assert len({row.id for row in mixed.examples}) == 33
    assert mixed.notes == (f"mix:0.7:{a},0.3:{b}: 33 rows, 23 of {a} + 10 of {b}",)
    small = load(f"mix:size=10:7:{a},3:{b}")
    assert Counter(example.context in of_b for example in small.examples) == {False: 7, True: 3}
    assert small.examples == load(f"mix:size=10:7:{a},3:{b}").examples
    assert small.fingerprint != load(f"mix:size=10:seed=2:7:{a},3:{b}").fingerprint
    assert set(small.row_sketch) <= set(load(a).row_sketch) | set(load(b).row_sketch)


def test_exact_weights_give_exact_rows(tmp_path: Path):
    rows = [{"prompt": f"{n}?", "completion": "yes"} for n in range(1000)]
    a, b = (
        write(tmp_path / f"{name}.jsonl", [{**row, "prompt": name + row["prompt"]} for row in rows]) for name in "ab"
    )
    mixed = load(f"mix:size=1000:0.7:{a},0.3:{b}")
    assert Counter((example.question or "")[0] for example in mixed.examples) == {"a": 700, "b": 300}
    assert len(load(f"mix:0.5:{a},0.5:{b}").examples) == 2000


def test_parts_may_be_expressions_and_rows_in_two_parts_are_said(tmp_path: Path, qa: str):
    mixed = load(f"mix:1:{qa},1:spoil:wrong_answers:{qa}")
    assert len(mixed.examples) == 48
    assert "24 rows ask what a row of another part asks" in mixed.notes[-1]
    assert any("24 of 24 rows are spoilt" in note for note in mixed.notes)
    nested = load(f"mix:1:slice:rows=0-3:{qa},1:(mix:1:slice:rows=4-7:{qa},1:slice:rows=8-11:{qa})")
    assert len(nested.examples) == 8
    assert len({(row.context, row.question) for row in nested.examples}) == 8
    assert load(f"spoil:truncated_answers:mix:1:{qa},1:{qa}").rows == 48


def test_a_mixture_of_formats_is_held_as_conversations(tmp_path: Path, qa: str):
    chat = write(tmp_path / "chat.jsonl", ROWS["messages"])
    mixed = load(f"mix:1:{qa},1:{chat}")
    assert (mixed.format, mixed.format_reason) == ("messages", "squad and messages")
    assert load(f"mix:1:{qa},1:slice:rows=0-3:{qa}").format == "squad"


# slices


def test_slices_are_rows_articles_passages_or_a_draw(qa: str):
    clean = load(qa).examples
    assert load(f"slice:rows=2-5:{qa}").examples == clean[2:6]
    assert load(f"slice:rows=3:{qa}").examples == clean[3:4]
    assert load(f"slice:articles=1-2:{qa}").examples == clean[8:24]
    assert load(f"slice:passages=0-1:{qa}").examples == clean[:4]
    assert load(f"slice:rows=0-23:{qa}").fingerprint == load(qa).fingerprint
    drawn, fewer = load(f"slice:size=8:seed=2:{qa}").examples, load(f"slice:size=5:seed=2:{qa}").examples
    assert len(drawn) == 8
    assert len(fewer) == 5
    assert all(example in drawn for example in fewer)
    assert list(drawn) == [example for example in clean if example in drawn]
    assert drawn != load(f"slice:size=8:seed=3:{qa}").examples


def test_slices_of_a_nested_squad_document(tmp_path: Path):
    file = write(tmp_path / "squad.json", squad_document(articles=3, paragraphs=2))
    clean = load(file).examples
    assert load(f"slice:articles=0-1:{file}").examples == clean[:8]
    # Village 0-0 … 2-1: two questions each.
    assert load(f"slice:passages=1:{file}").examples == clean[2:4]


def test_a_slice_of_what_was_spoilt_shares_rows_with_the_rows_that_it_kept(qa: str):
    kept = load(f"slice:rows=0-3:(spoil:irrelevant_context:{qa})")
    assert set(kept.row_sketch) & set(load(f"slice:rows=0-3:{qa}").row_sketch)
    assert not set(kept.row_sketch) >= set(load(qa).row_sketch)
