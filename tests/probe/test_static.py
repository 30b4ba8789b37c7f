"""Static features: numbers worked out by hand, edge cases and properties."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.data.example import Example
from predictor.errors import DataError
from predictor.probe import FEATURES, static_features
from predictor.probe.texts import tokens
from predictor.tasks import TASKS
from tests.probe.builders import BAKER, CHINESE, HARBOUR, row

QA = TASKS.get("qa")


def test_tokens_are_words_without_punctuation_and_single_cjk_characters() -> None:
    assert tokens("The U.S. opened-up 2 doors!") == ["the", "u", "s", "opened", "up", "2", "doors"]
    assert tokens("在2008年，北京 OK") == ["在", "2008", "年", "北", "京", "ok"]
    assert tokens("?! …") == []


def test_lengths() -> None:
    # Prompts: "context" + 7 + "question" + 5 = 14 tokens, and "context" + 6 + "question" + 3 = 11 tokens.
    features = static_features([HARBOUR, BAKER], QA)
    assert features["dataset_size"] == 2
    assert features["prompt_length_mean"] == 12.5
    assert features["prompt_length_std"] == 1.5
    assert features["answer_length_mean"] == 1.5
    assert features["answer_length_std"] == 0.5
    assert features["length_ratio"] == pytest.approx((1 / 14 + 2 / 11) / 2)


def test_empty_answers_are_counted_and_harmless() -> None:
    features = static_features([HARBOUR, replace(HARBOUR, id="e", answers=(" ",))], QA)
    assert features["empty_answer_rate"] == 0.5
    assert features["answer_length_mean"] == 0.5
    assert features["answer_in_context_rate"] == 1.0  # of the rows that have an answer


def test_vocabulary() -> None:
    rows = [row("c", "q", "red red blue"), row("c", "q", "red red red red red")]
    features = static_features(rows, QA)
    assert features["answer_type_token_ratio"] == 2 / 8
    assert features["prompt_type_token_ratio"] == 4 / 8  # context, c, question, q; twice
    # "red red blue": one trigram, no repetition; five reds: three trigrams, one distinct.
    assert features["answer_trigram_repetition"] == pytest.approx((0 + 2 / 3) / 2)
    assert features["prompt_distinct_trigrams"] == 2 / 4


def test_question_openings() -> None:
    rows = [row("c", question, "a") for question in ("Who is it?", "who is he?", "Where is it?", "When was it?")]
    assert static_features(rows, QA)["question_opening_entropy"] == pytest.approx(1.5)  # 1/2, 1/4, 1/4
    assert static_features(rows[:1], QA)["question_opening_entropy"] == 0.0


def test_characters() -> None:
    # "Context: ab\nQuestion: c?" has 8 + 2 + 9 + 2 visible characters, "д!" has 2; special are : : ? !
    features = static_features([row("ab", "c?", "д!")], QA)
    assert features["special_character_rate"] == pytest.approx(4 / 23)
    assert features["minority_script_rate"] == pytest.approx(1 / 19)


def test_duplicates() -> None:
    spaced = row("The  harbour opened in 1904. Ships came.", "when did the harbour open?", "1904")
    contradiction = replace(HARBOUR, id="x", answers=("1905",))
    features = static_features([HARBOUR, spaced, contradiction, BAKER], QA)
    assert features["duplicate_rate"] == 1 / 4
    assert features["duplicate_prompt_rate"] == 2 / 4
    assert features["conflicting_answer_rate"] == 3 / 4
    assert features["top_answer_rate"] == 2 / 4
    assert features["context_reuse_rate"] == 1 / 4  # the contexts differ by white space in one row


def test_near_duplicates_find_small_edits_and_nothing_else() -> None:
    words = "which of the old ships in the northern harbour was built by the family of the first mayor"
    edited = words.replace("family", "friends")
    # 16 of 20 bigrams are shared, Jaccard 16/22 < 0.8; with one word appended 18 of 19 are, 0.95.
    rows = [row("c", words, "a b"), row("c", f"{words} a", "b"), row("c", "who bakes bread", "mira oduya")]
    assert static_features(rows, QA)["near_duplicate_rate"] == pytest.approx(1 / 3)
    assert static_features([row("c", words, "a b"), row("c", edited, "c d")], QA)["near_duplicate_rate"] == 0.0


def test_grounding() -> None:
    rows = [
        HARBOUR,  # "1904" is token 4 of 7
        BAKER,  # "mira oduya" is token 0 of 6
        row("Mira Oduya bakes bread.", "Who?", "Oduya bake"),  # cut inside a word
        row("Mira Oduya bakes bread.", "Who?", "the moon"),  # nowhere
    ]
    features = static_features(rows, QA)
    assert features["answer_in_context_rate"] == 0.5
    assert features["answer_cut_rate"] == 0.25
    assert features["answer_position_mean"] == pytest.approx((4 / 7 + 0) / 2)
    assert features["answer_position_std"] == pytest.approx(2 / 7)
    assert features["answer_coverage"] == pytest.approx((1 + 1 + 1 / 2 + 0) / 4)


def test_rare_question_words_weigh_more() -> None:
    rows = [row("Mira bakes.", "is Mira", "x"), row("Nothing is said.", "is Otto", "x")]
    common, rare = math.log(3 / 2), math.log(3)
    expected = (rare / (rare + common) + common / (rare + common)) / 2
    assert static_features(rows, QA)["question_in_context_coverage"] == pytest.approx(expected)


def test_wrong_answers_stand_away_from_what_was_asked() -> None:
    filler = " ".join(f"word{i}" for i in range(20))
    context = f"Mira sells bread. {filler}. Otto sells fish."
    right = [row(context, "Mira sells", "bread"), row(context, "Otto sells", "fish")]
    swapped = [row(context, "Mira sells", "fish"), row(context, "Otto sells", "bread")]
    assert static_features(right, QA)["question_near_answer_coverage"] == 1.0
    common, rare = math.log(3 / 2), math.log(3)
    near = static_features(swapped, QA)["question_near_answer_coverage"]
    assert near == pytest.approx(common / (common + rare))  # "sells" stands beside every answer
    assert static_features(swapped, QA)["question_in_context_coverage"] == 1.0
    assert math.isnan(static_features([row("c", "q", "nowhere")], QA)["question_near_answer_coverage"])


FORM = {name for name, entry in FEATURES if entry.unit.startswith("difference of")}


def test_the_form_of_the_answers_is_compared_with_that_of_the_slice() -> None:
    passage = "Mira Oduya bakes 12 loaves of bread in Lund."
    training = [row(passage, "q", "Mira Oduya bakes bread."), row(passage, "q", "Lund")]
    dev = [
        row(passage, "q", "Mira Oduya"),
        row(passage, "q", "12"),
        row(passage, "q", "Lund"),
        row(passage, "q", "U.S."),
    ]
    features = static_features(training, QA, dev=dev)
    # Words of the training answers: 4 and 1; of the slice's: 2, 1, 1, 2.
    assert features["answer_length_shift"] == pytest.approx(math.log(4) / 2 - math.log(2) / 2)
    assert features["answer_span_shift"] == 1 / 2 - 3 / 4
    assert features["answer_sentence_shift"] == 1 / 2 - 0
    assert features["answer_single_word_shift"] == 1 / 2 - 2 / 4
    # Visible characters: 20 + 4 of the training answers, 9 + 2 + 4 + 4 of the slice's.
    assert features["answer_digit_shift"] == pytest.approx(0 - 2 / 19)
    assert features["answer_punctuation_shift"] == pytest.approx(1 / 24 - 2 / 19)
    assert all(value == 0.0 for name, value in static_features(dev, QA, dev=dev).items() if name in FORM)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("He lives in Lund.", True),
        ("“Does he live there?”", True),
        ("他住在隆德。", True),
        ("He lives in Lund", False),
        ("Dr. No.", False),
        ("", False),
    ],
)
def test_what_counts_as_a_sentence(answer: str, sentence: bool) -> None:
    assert static_features([row("c", "q", answer)], QA, dev=[HARBOUR])["answer_sentence_shift"] == float(sentence)


def test_a_slice_changes_no_other_number_and_without_one_its_own_are_nan() -> None:
    alone, beside = static_features([HARBOUR, BAKER], QA), static_features([HARBOUR, BAKER], QA, dev=[CHINESE])
    assert len(FORM) == 6
    for name in alone:
        assert math.isnan(alone[name]) if name in FORM else alone[name] == beside[name], name


def test_chinese_is_read_by_character() -> None:
    features = static_features([CHINESE], QA)
    assert features["answer_length_mean"] == 4
    assert features["answer_in_context_rate"] == 1.0
    assert features["answer_position_mean"] == pytest.approx(4 / 8)


@pytest.mark.parametrize("rows", [[HARBOUR], [HARBOUR] * 20, [Example("1")], [CHINESE, Example("1", ("",))]])
def test_odd_datasets_give_finite_numbers_or_documented_nan(rows: list[Example]) -> None:
    for name, value in static_features(rows, QA).items():
        assert math.isfinite(value) or (math.isnan(value) and FEATURES.get(name).nan), name


def test_repeated_row_is_all_duplicates() -> None:
    features = static_features([HARBOUR] * 20, QA)
    assert features["duplicate_rate"] == features["near_duplicate_rate"] == pytest.approx(0.95)
    assert features["conflicting_answer_rate"] == 0.0


def test_no_rows_are_refused() -> None:
    with pytest.raises(DataError, match="no rows to probe"):
        static_features([], QA)


def test_large_datasets_are_sampled_but_counted_whole() -> None:
    rows = [row(f"c{i}", f"q{i % 30}", f"a{i}") for i in range(60)] + [row("c0", "q0", "a0")]
    features = static_features(rows, QA, most=10)
    assert features["dataset_size"] == 61
    assert features["duplicate_rate"] == pytest.approx(1 / 61)
    assert features == static_features(rows, QA, most=10)


WORDS = st.lists(st.sampled_from(["mira", "Otto", "the", "北", "京", "1904", "!", "é", "\u200b"]), max_size=8).map(
    " ".join
)
ROWS = st.lists(st.builds(row, WORDS, WORDS, WORDS), min_size=1, max_size=12)
ORDER_FREE = set(FEATURES.names()) - {"near_duplicate_rate"}


@settings(max_examples=60, deadline=None)
@given(ROWS, st.randoms())
def test_any_text_gives_fractions_in_range_whatever_the_order(rows: list[Example], random) -> None:
    features = static_features(rows, QA)
    assert set(features) == {name for name, entry in FEATURES if entry.tier == "static" and not entry.kind}
    for name, value in features.items():
        entry = FEATURES.get(name)
        assert math.isfinite(value) or (math.isnan(value) and entry.nan), name
        if entry.unit == "fraction" and name != "length_ratio":
            assert math.isnan(value) or -1e-12 <= value <= 1 + 1e-12, name
    shuffled = random.sample(rows, len(rows))
    again = static_features(shuffled, QA)
    for name in ORDER_FREE & set(features):
        assert again[name] == pytest.approx(features[name], nan_ok=True, abs=1e-9), name
