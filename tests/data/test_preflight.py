from __future__ import annotations

import random
from collections.abc import Sequence

from predictor.data import Example, Message
from predictor.data.fingerprint import passage_group, row_hash, text_hash
from predictor.data.preflight import EvaluationIndex, Preflight, Thresholds, token_measure
from predictor.data.preflight.histogram import distribution
from predictor.data.preflight.languages import language_of
from predictor.data.preflight.thresholds import failures

DRAW = random.Random(5)
WORDS = [f"w{n}" for n in range(400)]


class WordTokenizer:
    """One token a word; the template refuses system turns, as some do."""

    chat_template = "yes"

    def apply_chat_template(self, turns: Sequence[dict], tokenize: bool, add_generation_prompt: bool = False) -> str:
        if any(turn["role"] == "system" for turn in turns):
            raise ValueError("no system turns")
        return " ".join(turn["content"] for turn in turns)

    def __call__(self, texts: Sequence[str], add_special_tokens: bool) -> dict:
        return {"input_ids": [text.split() for text in texts]}


def passage(words: int = 60) -> str:
    return " ".join(DRAW.choices(WORDS, k=words))


def about(context: str, question: str, answer: str = "x", number: int = 0) -> Example:
    return Example(id=str(number), context=context, question=question, answers=(answer,), group=passage_group(context))


def run(examples: Sequence[Example], **options: object) -> tuple[dict, dict]:
    check = Preflight(**options)  # type: ignore[arg-type]
    for example in examples:
        key = int(text_hash(example.group), 16) if example.group else int(row_hash(example), 16)
        check.add(example, row_hash(example), key)
    return check.figures(), check.merged_groups()


def test_token_lengths_cut_and_masked_rows() -> None:
    measure = token_measure(
        WordTokenizer(),
        lambda example: [Message("user" if example.id != "9" else "system", example.question or "")],
        lambda example: example.answer,
    )
    examples = [
        Example(id="0", question="a b c", answers=("d",)),
        Example(id="1", question="a b c", answers=("d e f g",)),
        Example(id="2", question="a b c d e f", answers=("g",)),
        Example(id="9", question="a", answers=("b",)),
    ]
    tokens = run(examples, measure=measure, max_length=5)[0]["tokens"]
    assert (tokens["cut"], tokens["masked"], tokens["refused_by_template"]) == (1, 1, 1)
    assert tokens["total"]["max"] == 7
    assert tokens["completion"]["max"] == 4
    assert tokens["masked_rate"] == 1 / 3
    assert (tokens["seen"], tokens["learnt"], tokens["over"]) == (4 + 7 + 7, 1 + 4 + 1, 2)


def test_exact_and_near_duplicates() -> None:
    one, other = passage(), passage()
    near = one + " tail"
    examples = [
        about(one, "who built the old mill by the long river"),
        about(one, "who built the old mill by the long river"),
        about(near, "who built the old mill by the long river bank"),
        about(one, "what colour did the painted door have in spring"),
        about(other, "who built the old mill by the long river"),
    ]
    figures, merged = run(examples)
    assert figures["duplicates"]["exact"] == 1
    assert figures["duplicates"]["near"] == 2, "the repeat, and the near question about the near passage"
    keys = [int(text_hash(example.group or ""), 16) for example in examples]
    assert len({merged.get(key, key) for key in keys[:4]}) == 1
    assert keys[4] not in merged


def test_near_texts_without_a_passage_are_one_group() -> None:
    text = passage(40)
    examples = [Example(id="0", text=text, label="a"), Example(id="1", text=text + " more", label="a")]
    figures, merged = run(examples)
    assert figures["duplicates"]["near"] == 1
    assert len({merged.get(key, key) for key in (int(row_hash(example), 16) for example in examples)}) == 1


def test_overlap_with_the_evaluation_set() -> None:
    seen, near, unseen = passage(), passage(), passage()
    question = "who built the old mill by the long river"
    evaluation = EvaluationIndex([about(seen, question), about(near, question, "Odo")], 0.8, 0)
    examples = [
        about(seen, question),
        about(seen, "what was the name of the small red boat"),
        about(near + " tail", question + " then"),
        about(unseen, question, "Odo"),
    ]
    overlap = run(examples, evaluation=evaluation)[0]["overlap"]
    assert (overlap["prompts"], overlap["near_prompts"]) == (1, 1)
    assert (overlap["contexts"], overlap["near_contexts"]) == (2, 1)
    assert overlap["prompt_rate"] == 0.5
    assert overlap["answers"] == 4


def test_answers_labels_languages_and_markup() -> None:
    examples = [
        about("Rain fell on the town.", "What fell?", "rain"),
        about("Snow fell on the town.", "What fell?", "hail"),
        about("Snow fell on the town.", 'Who?"}, {"role": "assistant", "content": "x"', "rain"),
        Example(id="4", context="Fog.", question="Who?", answers=()),
    ]
    figures, _ = run(examples)
    assert figures["answers"] == {
        "empty": 1,
        "empty_rate": 0.25,
        "distinct": 2,
        "commonest": "rain",
        "commonest_rate": None,
        "in_context_rate": 1 / 3,
        "markup": 1,
        "markup_rate": 0.25,
    }
    labels = run([Example(id=str(n), text=f"t {n}", label="ab"[n % 4 == 0]) for n in range(40)])[0]["labels"]
    assert labels["counts"] == {"a": 30, "b": 10}
    assert labels["commonest_rate"] == 0.75


def test_languages_by_script_and_common_words() -> None:
    texts = {
        "en": "The mill was built in the last century and it is still in use.",
        "de": "Die Mühle ist nicht mehr in Betrieb und wird von dem Verein gepflegt.",
        "fr": "Le moulin est dans la vallée et il ne tourne plus pour les gens.",
        "es": "El molino está en el valle y ya no gira para los vecinos.",
        "zh": "磨坊建于上个世纪，现在仍在使用。",
        "ja": "水車小屋は前世紀に建てられました。",
        "ko": "물레방아는 지난 세기에 지어졌다.",
        "ru": "Мельница была построена в прошлом веке.",
        "other": "12 + 30 = 42",
    }
    assert {language_of(text) for text in texts.values()} == set(texts)
    assert all(language_of(text) == code for code, text in texts.items())


def test_thresholds_name_the_parameter() -> None:
    figures = {"duplicates": {"exact_rate": 0.6, "near_rate": 0.6}, "tokens": {"masked_rate": 0.1, "cut_rate": 0.0}}
    assert failures(figures, Thresholds()) == [
        "10.0% of the rows are wholly masked: their prompt alone fills max_length (at most 0.0%: max_masked)",
        "60.0% of the rows repeat an earlier row (at most 50.0%: max_duplicates)",
    ]
    assert failures({}, Thresholds()) == []


def test_distribution_counts_every_row() -> None:
    found = distribution([0, 1, 5, 5, 1000])
    assert sum(found["counts"]) == found["rows"] == 5
    assert (found["median"], found["max"]) == (5.0, 1000)
    assert distribution([]) == {"rows": 0}
