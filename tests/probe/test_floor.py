"""The ridge learns what embeddings and lengths tell, and says the mean where there is nothing to learn."""

from __future__ import annotations

import numpy as np

from predictor.probe.floor import _pieces, ridge_floor


class Letters:
    """Counts the first letters of the words."""

    def encode(self, texts):
        found = np.zeros((len(texts), 26))
        for row, text in enumerate(texts):
            for word in text.split():
                found[row, (ord(word[0].lower()) - 97) % 26] += 1
        return found


def test_it_learns_from_words_and_from_lengths():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["apple", "bird"], size=n)) for n in rng.integers(5, 30, 60)]
    groups = [str(i // 2) for i in range(60)]
    for values in ([t.count("apple") for t in texts], [np.log(len(t.split())) for t in texts]):
        said = ridge_floor(texts[:40], values[:40], groups[:40], texts[40:], Letters())
        assert np.corrcoef(said, values[40:])[0, 1] > 0.9


def test_without_variety_it_says_the_mean():
    assert ridge_floor(["a", "b"], [3, 3], ["1", "2"], ["c"], Letters()).tolist() == [3.0]
    assert ridge_floor(["a", "b"], [1, 3], ["1", "1"], ["c"], Letters()).tolist() == [2.0]


def test_the_end_of_a_text_is_a_piece():
    words = [str(n) for n in range(100)]
    pieces = _pieces(" ".join(words))
    assert pieces[-1].split() == words[60:]
    assert {word for piece in pieces for word in piece.split()} == set(words)
    assert _pieces("") == [""]


def test_texts_about_one_passage_do_not_teach_it_by_heart():
    rng = np.random.default_rng(1)
    alphabet = [chr(97 + n) * 3 for n in range(26)]
    passages = [" ".join(rng.choice(alphabet, size=40)) for _ in range(40)]
    level = rng.normal(size=40)
    texts = [f"{passage} {rng.choice(alphabet)}" for passage in passages for _ in range(6)]
    values = np.repeat(level, 6) + 0.1 * rng.normal(size=240)
    groups = [f"row {n}" for n in range(240)]  # nobody has said which rows belong together
    said = ridge_floor(texts[:180], values[:180], groups[:180], texts[180:], Letters())
    error, constant = (np.sqrt(np.mean((values[180:] - guess) ** 2)) for guess in (said, values[:180].mean()))
    assert error < 1.15 * constant
