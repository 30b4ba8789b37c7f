"""Official SQuAD v1.1 scoring: cases worked out by hand, properties, and the local `evaluate` module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.metrics import squad

WORDS = st.lists(st.sampled_from(["cat", "dog", "the", "a", "Paris", "1066", "北", "京", "!"]), max_size=6).map(
    " ".join
)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The Cat", "cat"),
        ("  an   apple, a day ", "apple day"),
        ("U.S.A.", "usa"),
        ("the", ""),
        ("?!", ""),
        ("theatre another", "theatre another"),
        ("a-b", "ab"),  # punctuation goes before articles, so the "a" is no longer a word
        ("“the” end", "“ ” end"),  # only ASCII punctuation is dropped
        ("北京。", "北京。"),
        ("tab\tand\nline", "tab and line"),
    ],
)
def test_normalisation(text: str, normal: str) -> None:
    assert squad.normalize(text) == normal


@pytest.mark.parametrize(
    ("prediction", "references", "em", "f1"),
    [
        ("Denver Broncos", ["Denver Broncos"], 1.0, 1.0),
        ("the denver broncos!", ["Denver Broncos"], 1.0, 1.0),
        ("Broncos", ["Denver Broncos"], 0.0, 2 / 3),  # precision 1, recall 1/2
        ("it was the Denver Broncos", ["Denver Broncos"], 0.0, 2 / 3),  # precision 2/4, recall 1
        ("cat cat", ["cat dog"], 0.0, 0.5),  # the second cat has no partner: 1 of 2 and 1 of 2
        ("dog", ["cat", "big dog", "dog"], 1.0, 1.0),  # nearest reference
        ("dog", ["cat", "big dog"], 0.0, 2 / 3),
        ("", ["cat"], 0.0, 0.0),
        ("the", ["a"], 1.0, 0.0),  # both normalise to nothing: equal, and no word is shared
        ("", ["..."], 1.0, 0.0),
        ("北京大学", ["北京"], 0.0, 0.0),  # one token each
    ],
)
def test_scores_worked_out_by_hand(prediction: str, references: list[str], em: float, f1: float) -> None:
    assert squad.exact_match(prediction, references) == em
    assert squad.f1(prediction, references) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("北京大学", "北京", 2 / 3),  # 2 shared of 4 and 2 characters
        ("老式柜台现金交易", "老式柜台现金交易。", 1.0),
        ("在 2008 年", "2008年", 0.8),  # 2 shared of 3 and 2
        ("Denver Broncos", "Broncos", 2 / 3),
        ("。", "。", 0.0),
    ],
)
def test_cjk_f1_counts_characters(prediction: str, reference: str, expected: float) -> None:
    assert squad.f1_cjk(prediction, [reference]) == pytest.approx(expected)


@given(WORDS, WORDS)
def test_f1_is_a_symmetric_fraction_that_exact_match_implies(one: str, other: str) -> None:
    score = squad.f1(one, [other])
    assert 0.0 <= score <= 1.0
    assert score == squad.f1(other, [one])
    if squad.exact_match(one, [other]) and squad.normalize(one):
        assert score == 1.0


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3), WORDS)
def test_another_reference_never_lowers_a_score(prediction: str, references: list[str], extra: str) -> None:
    for metric in (squad.exact_match, squad.f1, squad.f1_cjk):
        assert metric(prediction, [*references, extra]) >= metric(prediction, references)


@pytest.mark.parametrize("metric", [squad.exact_match, squad.f1, squad.f1_cjk])
def test_references_must_be_a_non_empty_sequence(metric) -> None:
    with pytest.raises(ValueError, match="at least one accepted answer"):
        metric("cat", [])
    with pytest.raises(TypeError, match="sequence of accepted answers"):
        metric("cat", "cat")


def test_evaluate_module_has_the_hub_interface_in_percent(tmp_path: Path) -> None:
    """Loaded offline, from a folder where this project cannot be imported."""
    script = """
import json, sys, warnings
import evaluate
squad = evaluate.load(sys.argv[1])
answers = lambda *texts: {"text": list(texts), "answer_start": [0] * len(texts)}
full = squad.compute(
    predictions=[{"id": "1", "prediction_text": "The  cat."}, {"id": "2", "prediction_text": "a dog ran"}],
    references=[{"id": "2", "answers": answers("dog", "big dog")}, {"id": "1", "answers": answers("cat")}],
)
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    missing = squad.compute(
        predictions=[{"id": "1", "prediction_text": "cat"}, {"id": "x", "prediction_text": "dog"}],
        references=[{"id": "1", "answers": answers("cat")}, {"id": "2", "answers": answers("dog")}],
    )
print(json.dumps([full, missing, [str(w.message) for w in seen if "no prediction" in str(w.message)]]))
"""
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    ran = subprocess.run(
        [sys.executable, "-c", script, str(Path(squad.__file__).resolve())],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    full, missing, warned = json.loads(ran.stdout.strip().splitlines()[-1])
    assert full == {"exact_match": 50.0, "f1": pytest.approx((100 + 200 / 3) / 2)}
    assert missing == {"exact_match": 50.0, "f1": 50.0}
    assert warned == ["1 questions have no prediction and score 0, the first is '2'"]


def test_importing_the_functions_does_not_import_evaluate() -> None:
    script = "import sys, predictor.metrics.squad; sys.exit('evaluate' in sys.modules or 'datasets' in sys.modules)"
    root = Path(squad.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0
