"""Each number moves in the direction that its name promises, and stays within [0, 1]."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.metrics import reasoning as r

PLAIN = "The firm sells lamps. The firm has a shop. The shop is old."
LINKED = "The firm sells lamps. Therefore it has a shop. However, the shop is old because nobody pays."


def _by_first_letter(texts):
    """An encoder by which sentences with the same first letter are alike."""
    return np.array([np.eye(26)[(ord(text[0].lower()) - 97) % 26] for text in texts])


def test_coherence_rises_with_connectives_and_with_likeness_of_neighbours():
    assert r.coherence(PLAIN) == 0.0
    assert r.coherence(LINKED) == 1.0
    assert r.coherence("Tin is one. Ten is two.", _by_first_letter) == 0.5
    assert r.coherence("Tin is one. Red is two.", _by_first_letter) == 0.0
    assert r.coherence("All is well. All is well.", _by_first_letter) == 0.0  # to repeat oneself is no thread
    assert r.coherence("It is so because of that.") == 0.5
    assert r.coherence("") == 0.0
    assert r.coherence("产品很好。但是价格高。") == 1.0


def test_terms_count_once_each_and_none_are_undefined():
    terms = ("margin", "market share")
    assert r.term_use("nothing of it", terms) == 0.0
    one, both = r.term_use("The margin, the margin.", terms), r.term_use("Margin and market share.", terms)
    assert 0 < one < both < 1
    assert one == pytest.approx(1 - math.exp(-1 / 3))
    assert math.isnan(r.term_use("margin", ()))


def test_terms_that_set_texts_apart_are_found():
    texts = ["The patent covers a lamp.", "A patent and a licence.", "The licence of the patent."]
    found = r.field_terms(texts, ["The lamp is in the house.", "A house and a lamp."])
    assert found[:2] == ("patent", "licence")
    assert "the" not in found
    assert r.field_terms(texts, texts) == ()


def test_sufficiency_is_the_share_of_what_the_input_speaks_of():
    source = "Acme sells lamps and batteries. Lamps earn most."
    assert r.sufficiency("Lamps and batteries earn most for Acme, which sells them.", source) == 1.0
    assert r.sufficiency("Lamps.", source) == pytest.approx(1 / 6)
    assert r.sufficiency("Nothing.", source) == 0.0
    assert math.isnan(r.sufficiency("Lamps.", "it is"))


def test_specificity_rises_with_numbers_names_and_examples():
    vague = "The firm is good. It grows."
    steps = [
        vague,
        "The firm is good. It grows by 4.5 percent.",
        "The firm Acme is good. It grows by 4.5 percent, for example.",
    ]
    values = [r.specificity(text) for text in steps]
    assert values == sorted(values)
    assert values[0] == 0.0
    assert values[1] == pytest.approx(1 - math.exp(-1 / 2))
    assert values[2] == pytest.approx(1 - math.exp(-3 / 2))
    assert r.specificity("") == 0.0


@given(st.text(max_size=200), st.text(max_size=100))
@settings(max_examples=80, deadline=None)
def test_every_number_is_a_fraction_or_undefined(text: str, source: str):
    values = [r.coherence(text), r.term_use(text, ("a", "b c")), r.sufficiency(text, source), r.specificity(text)]
    assert all(math.isnan(value) or 0.0 <= value <= 1.0 for value in values)
