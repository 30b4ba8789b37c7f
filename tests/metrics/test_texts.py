"""BLEU, chrF, ROUGE and perplexity equal the libraries that they stand for, and a plain loop."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

from predictor.metrics import bleu, chrf, perplexity, rouge

WORDS = ["the", "cat", "sat", "on", "a", "mat", "while", "Mira's", "dog,", "who", "had", "3", "bones,", "ran", "home."]
CHINESE = "他毕业于北京大学后来在上海开了一家小书店"
JAPANESE = "彼は東京でパンを焼いている"


def english(count: int) -> tuple[list[str], list[list[str]]]:
    """Texts and one to three references of each, in part alike."""
    rng = np.random.default_rng(3)

    def text() -> list[str]:
        return [WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(1, 14))]

    predictions, references = [], []
    for i in range(count):
        said = text()
        predictions.append("" if i == 3 else " ".join(said))
        references.append([" ".join([*said[: rng.integers(0, 9)], *text()]) for _ in range(rng.integers(1, 4))])
    return predictions, references


def streams(references: list[list[str]]) -> list[list[str | None]]:
    most = max(map(len, references))
    return [[accepted[i] if i < len(accepted) else None for accepted in references] for i in range(most)]


PREDICTIONS, REFERENCES = english(60)
SINGLE = [accepted[:1] for accepted in REFERENCES]
HAN = ([CHINESE[:9], CHINESE[4:], "北京", "Paris 1904"], [[CHINESE], [CHINESE[2:]], ["上海"], ["in Paris, 1904"]])
KANA = ([JAPANESE[:8], JAPANESE], [[JAPANESE], [JAPANESE[3:]]])


@pytest.mark.parametrize(
    ("predictions", "references", "tokenize"),
    [(PREDICTIONS, REFERENCES, "13a"), (PREDICTIONS, SINGLE, "13a"), (*HAN, "zh"), (*KANA, "char")],
)
def test_bleu_and_chrf_are_sacrebleus_with_its_signature(predictions, references, tokenize) -> None:
    theirs = BLEU(tokenize=tokenize)
    expected = theirs.corpus_score(predictions, streams(references))
    assert bleu.tokenizer_for(references) == tokenize
    assert bleu.bleu(predictions, references) == pytest.approx(expected.score, abs=1e-9)
    assert bleu.signature(references) == str(theirs.get_signature())
    summed = bleu.statistics(predictions, references).sum(axis=0)
    assert bleu.length_ratio_of(summed) == pytest.approx(expected.ratio)
    characters = CHRF()
    assert chrf.chrf(predictions, references) == pytest.approx(
        characters.corpus_score(predictions, streams(references)).score, abs=1e-9
    )
    assert chrf.signature(references) == str(characters.get_signature())


def test_statistics_of_some_texts_give_the_score_of_these_alone() -> None:
    sample = np.array([5, 5, 17, 40])
    chosen = [PREDICTIONS[i] for i in sample], [SINGLE[i] for i in sample]
    expected = BLEU().corpus_score(chosen[0], streams(chosen[1])).score
    assert bleu.score_of(bleu.statistics(PREDICTIONS, SINGLE, "13a")[sample].sum(axis=0)) == pytest.approx(expected)
    expected = CHRF().corpus_score(chosen[0], streams(chosen[1])).score
    assert chrf.score_of(chrf.statistics(PREDICTIONS, SINGLE)[sample].sum(axis=0)) == pytest.approx(expected)


def test_right_answers_have_full_marks_and_empty_ones_none() -> None:
    right = [accepted[0] for accepted in SINGLE]
    assert (bleu.bleu(right, SINGLE), chrf.chrf(right, SINGLE)) == (100.0, 100.0)
    nothing = [""] * len(SINGLE)
    assert (bleu.bleu(nothing, SINGLE), chrf.chrf(nothing, SINGLE)) == (0.0, 0.0)


def test_rouge_is_rouge_scores_for_the_best_reference() -> None:
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for prediction, accepted in zip(PREDICTIONS, REFERENCES, strict=True):
        single = [theirs.score(text, prediction) for text in accepted]
        for ours, name in rouge.NAMES.items():
            assert rouge.rouge(prediction, accepted)[ours] == max(each[name].fmeasure for each in single)


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        ("北京大学", "北京", (2 / 3, 0.5, 2 / 3)),  # 2 of 4 and of 2; 1 pair of 3 and of 1
        ("他在北京。", "他在北京", (1.0, 1.0, 1.0)),
        ("北 NASA 京", "北京 nasa", (1.0, 0.0, 2 / 3)),
        ("京北", "北京", (1.0, 0.0, 0.5)),
        ("パンを焼く", "パン", (4 / 7, 2 / 5, 4 / 7)),
        ("Paris", "北京", (0.0, 0.0, 0.0)),
    ],
)
def test_rouge_of_chinese_and_japanese_counts_characters(prediction: str, reference: str, expected) -> None:
    assert tuple(rouge.rouge(prediction, [reference]).values()) == pytest.approx(expected)


def test_perplexity_and_bits_per_byte_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    losses = [rng.exponential(2.0, size) for size in (1, 7, 300)]
    texts = ["a", "北京大学", "x" * 900]
    total, tokens, size = 0.0, 0, 0
    for row, text in zip(losses, texts, strict=True):
        size += len(text.encode())
        for loss in row:
            total += loss
            tokens += 1
    assert perplexity.perplexity(losses) == pytest.approx(math.exp(total / tokens), abs=1e-9)
    assert perplexity.bits_per_byte(losses, texts) == pytest.approx(total / math.log(2) / size, abs=1e-9)
    assert perplexity.perplexity(losses) != pytest.approx(np.mean([np.exp(row.mean()) for row in losses]))


def test_perplexity_has_limits_and_no_warnings() -> None:
    assert perplexity.perplexity([[0.0, 0.0]]) == 1.0
    assert perplexity.perplexity([[2000.0]]) == math.inf
    assert math.isnan(perplexity.perplexity([[math.nan]]))
    assert math.isnan(perplexity.bits_per_byte([[1.0]], [""]))


@pytest.mark.parametrize("metric", [bleu.bleu, chrf.chrf, bleu.statistics, chrf.statistics])
def test_texts_and_references_must_match(metric) -> None:
    with pytest.raises(ValueError, match="1 predictions for 2 references"):
        metric(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match="0 predictions for 0 references"):
        metric([], [])
    for references in ([[]], ["cat"]):
        with pytest.raises(ValueError, match="a sequence of references, at least one"):
            metric(["a"], references)


def test_rouge_and_perplexity_say_what_they_need() -> None:
    for references in ([], "cat"):
        with pytest.raises(ValueError, match="a sequence of references, at least one"):
            rouge.rouge("a", references)
    with pytest.raises(ValueError, match="losses of 1 texts and 2 texts"):
        perplexity.bits_per_byte([[1.0]], ["a", "b"])
    with pytest.raises(ValueError, match="a text has no token"):
        perplexity.perplexity([[1.0], []])


def test_each_is_an_evaluate_module_offline(tmp_path: Path) -> None:
    """Loaded from a folder where this project cannot be imported."""
    script = """
import json, sys
import evaluate
folder = sys.argv[1]
texts = {"predictions": ["the cat sat", "a dog"], "references": [["the cat sat down"], ["a dog", "the dog"]]}
found = {name: evaluate.load(f"{folder}/{name}.py").compute(**texts) for name in ("bleu", "chrf", "rouge")}
found["perplexity"] = evaluate.load(f"{folder}/perplexity.py").compute(
    predictions=[[1.0, 2.0], [3.0]], references=["ab", "c"]
)
print(json.dumps(found))
"""
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    ran = subprocess.run(
        [sys.executable, "-c", script, str(Path(bleu.__file__).resolve().parent)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.strip().splitlines()[-1])
    texts = ["the cat sat", "a dog"], [["the cat sat down"], ["a dog", "the dog"]]
    assert found["bleu"] == {
        "score": bleu.bleu(*texts),
        "length_ratio": pytest.approx(5 / 6),
        "signature": bleu.signature(texts[1]),
    }
    assert found["chrf"] == {"score": chrf.chrf(*texts), "signature": chrf.signature(texts[1])}
    assert found["rouge"] == pytest.approx({"rouge1": (6 / 7 + 1) / 2, "rouge2": (4 / 5 + 1) / 2, "rougeL": 13 / 14})
    assert found["perplexity"] == pytest.approx({"perplexity": math.exp(2.0), "bits_per_byte": 2 / math.log(2)})


def test_importing_the_functions_imports_no_library_of_them() -> None:
    heavy = ("evaluate", "datasets", "sacrebleu", "rouge_score", "nltk")
    script = (
        "import sys\nfrom predictor.metrics import bleu, chrf, perplexity, rouge\n"
        f"sys.exit(any(name in sys.modules for name in {heavy!r}))"
    )
    root = Path(bleu.__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0
