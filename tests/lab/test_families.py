"""Each family does what its dial says, and only that."""

from __future__ import annotations

import pytest

from predictor.data.example import Example
from predictor.errors import ConfigError
from predictor.lab import FAMILIES, generate
from predictor.lab.relations import RELATIONS

SPOILT = (
    "wrong_answers",
    "swapped_answers",
    "truncated_answers",
    "verbose_answers",
    "wide_answers",
    "foreign_characters",
)


def in_place(example: Example) -> bool:
    start = example.answer_starts[0] if example.answer_starts else -1
    return start >= 0 and (example.context or "")[start:].startswith(example.answer)


def test_there_are_at_least_twelve_families() -> None:
    assert len(FAMILIES) >= 12
    wanted = "size duplicated_rows few_relations one_phrasing shuffled_words easy_only hard_only wrong_and_verbose"
    assert set(wanted.split()) <= set(FAMILIES.names())


@pytest.mark.parametrize("name", FAMILIES.names())
def test_every_setting_gives_rows_of_the_asked_size_from_the_seed_alone(name: str) -> None:
    family = FAMILIES.get(name)
    assert len(family.settings) >= 5
    for dial in (family.settings[0], family.settings[-1]):
        rows = generate(name, dial, 24, 1)
        assert len(rows) == (dial if name == "size" else 24)
        assert rows == generate(name, dial, 24, 1)
        assert len({row.id for row in rows}) == len(rows)
        assert all(row.context and row.question and row.answer and row.group for row in rows)
    assert rows != generate(name, family.settings[-1], 24, 2)


@pytest.mark.parametrize("name", [name for name in FAMILIES.names() if FAMILIES.get(name).settings[0] == 0.0])
def test_the_mildest_setting_is_clean(name: str) -> None:
    assert all(in_place(row) for row in generate(name, 0.0, 24, 1))


@pytest.mark.parametrize("name", [*SPOILT, "irrelevant_context"])
def test_the_dial_is_the_share_of_spoilt_rows_and_higher_dials_add_to_them(name: str) -> None:
    clean, some, more = (generate(name, dial, 40, 3) for dial in (0.0, 0.25, 0.5))
    changed = [[index for index in range(40) if rows[index] != clean[index]] for rows in (some, more)]
    assert (len(changed[0]), len(changed[1])) == (10, 20)
    assert set(changed[0]) < set(changed[1])


def test_wrong_answers_come_from_the_passage() -> None:
    clean, wrong = generate("wrong_answers", 0.0, 20, 1), generate("wrong_answers", 1.0, 20, 1)
    assert all(in_place(row) for row in wrong)
    assert all(a.answer != b.answer and a.context == b.context for a, b in zip(clean, wrong, strict=True))


def test_swapped_answers_and_irrelevant_context_part_the_answer_from_the_passage() -> None:
    for name in ("swapped_answers", "irrelevant_context"):
        assert not any(row.answer_starts for row in generate(name, 1.0, 20, 1))


def test_answers_are_cut_widened_or_put_in_a_sentence() -> None:
    clean = generate("truncated_answers", 0.0, 20, 1)
    for short, whole in zip(generate("truncated_answers", 1.0, 20, 1), clean, strict=True):
        assert whole.answer.startswith(short.answer)
        assert len(short.answer) < len(whole.answer)
    clean = generate("wide_answers", 0.0, 20, 1)
    for wide, whole in zip(generate("wide_answers", 1.0, 20, 1), clean, strict=True):
        assert whole.answer in wide.answer
        assert wide.answer != whole.answer
        assert in_place(wide)
    clean = generate("verbose_answers", 0.0, 20, 1)
    for long, whole in zip(generate("verbose_answers", 1.0, 20, 1), clean, strict=True):
        assert whole.answer in long.answer
        assert long.answer.endswith(".")


def test_foreign_characters_look_alike_but_differ() -> None:
    for row in generate("foreign_characters", 1.0, 20, 1):
        assert any("\u0400" <= letter <= "\u04ff" for letter in row.answer) or row.answer.isdigit()


def test_duplicates_relations_phrasings_and_shapes() -> None:
    assert len({row.question for row in generate("duplicated_rows", 0.9, 40, 1)}) <= 4
    assert len({row.extra["relation"] for row in generate("few_relations", 0.75, 60, 1)}) == 4
    first = {relation.name: relation.questions[0].split("{x}")[0] for relation in RELATIONS}
    assert all(row.question.startswith(first[row.extra["relation"]]) for row in generate("one_phrasing", 1.0, 40, 1))
    assert all(row.context.count(".") == 1 for row in generate("easy_only", 1.0, 10, 1))
    assert all(row.context.count(".") == 15 for row in generate("hard_only", 1.0, 10, 1))
    met = {relation.name: relation.met for relation in RELATIONS}
    assert all(row.extra["phrasing"] < met[row.extra["relation"]] for row in generate("easy_only", 1.0, 60, 1))


def test_shuffled_words_keep_every_word() -> None:
    clean, shuffled = generate("shuffled_words", 0.0, 20, 1), generate("shuffled_words", 1.0, 20, 1)
    for row, whole in zip(shuffled, clean, strict=True):
        assert row.context != whole.context
        for got, wanted in ((row.context, whole.context), (row.question, whole.question), (row.answer, whole.answer)):
            assert sorted(got.split()) == sorted(wanted.split())
        assert not row.answer_starts or in_place(row)
    assert any(row.answer != whole.answer for row, whole in zip(shuffled, clean, strict=True))


def test_a_mixture_spoils_each_half_in_its_own_way() -> None:
    rows = generate("wrong_and_verbose", 1.0, 40, 1)
    assert sum(row.answer.endswith(".") for row in rows) == 20


def test_families_share_no_passage() -> None:
    one, other = generate("wrong_answers", 0.0, 40, 1), generate("verbose_answers", 0.0, 40, 1)
    assert not {row.context for row in one} & {row.context for row in other}


def test_unknown_family_says_which_was_meant() -> None:
    with pytest.raises(ConfigError, match="unknown lab family 'wrong_answer'") as caught:
        generate("wrong_answer", 0.1, 10, 1)
    assert "did you mean 'wrong_answers'?" in str(caught.value)


def test_dial_and_size_out_of_range_state_the_range() -> None:
    with pytest.raises(ConfigError, match=r"is 1\.5\n  rule: from 0 to 1"):
        generate("wrong_answers", 1.5, 10, 1)
    with pytest.raises(ConfigError, match=r"size \(rows\) is 0\n  rule: from 1 to 100000"):
        generate("wrong_answers", 0.5, 0, 1)
