"""The forward tier on a tiny model, against direct computation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.errors import DataError, ModelError
from predictor.probe import FEATURES, answer_marks, forward_features
from predictor.probe.feature import measure
from predictor.probe.forward import token_losses
from predictor.probe.losses import Losses, Marks
from tests.probe.builders import Rendered, Tokenizer, tiny_model

ROWS = [Rendered([5, 6, 7, 8], [9, 10]), Rendered([5, 6], [11, 12, 13]), Rendered(list(range(3, 30)), [40])]


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_features_worked_out_by_hand() -> None:
    ln = math.log
    losses = Losses(
        answers=[np.array([ln(2), ln(2)]), np.array([ln(8)])],
        hits=[np.array([True, True]), np.array([False])],
        texts=[np.array([ln(4), ln(4)]), np.array([ln(16)])],
        unconditional=[np.array([ln(8), ln(2)]), np.array([ln(8)])],
        dev=Marks.of([np.array([1.0, 2.0]), np.array([6.0])], [np.array([True, False]), np.array([True])]),
    )
    features = measure("forward", losses)
    assert features["initial_loss"] == pytest.approx(5 / 3 * ln(2))  # over three tokens
    assert features["initial_loss_std"] == pytest.approx(ln(2))  # rows at ln 2 and 3 ln 2
    assert features["initial_token_accuracy"] == pytest.approx(2 / 3)
    assert features["initial_row_accuracy"] == 0.5
    assert features["perplexity"] == pytest.approx(8.0)  # geometric mean of 4 and 16
    assert features["perplexity_spread"] == pytest.approx(ln(2))
    assert features["instruction_following_difficulty"] == pytest.approx((1 / 2 + 1) / 2)
    assert features["prompt_information"] == pytest.approx(ln(2) / 2)
    assert features["unhelpful_prompt_rate"] == 0.5
    assert features["dev_initial_loss"] == 3.0
    assert features["dev_initial_token_accuracy"] == pytest.approx(2 / 3)
    assert features["dev_initial_row_accuracy"] == 0.5


def test_losses_that_are_not_finite_or_vanish_give_nan() -> None:
    bad = [np.array([math.inf])]
    features = measure("forward", Losses(bad, [np.array([False])], bad, bad))
    for name in set(features) - {"initial_token_accuracy", "initial_row_accuracy"}:
        assert math.isnan(features[name]), name
    certain = [np.array([0.0])]
    features = measure("forward", Losses(certain, [np.array([True])], certain, certain))
    assert math.isnan(features["instruction_following_difficulty"])
    assert features["perplexity"] == 1.0


def test_token_losses_equal_one_row_at_a_time(model) -> None:
    import torch

    sequences = [[*row.prompt_ids, *row.completion_ids] for row in ROWS] + [[4]]
    together = token_losses(model, sequences, pad_id=0)
    alone = token_losses(model, sequences, pad_id=0, batch_tokens=1)
    model.eval()
    for sequence, (nll, hits), (nll_alone, _) in zip(sequences, together, alone, strict=True):
        assert len(nll) == len(hits) == len(sequence) - 1
        assert nll == pytest.approx(nll_alone, abs=1e-5)
        with torch.no_grad():
            logits = model(torch.tensor([sequence])).logits[0].log_softmax(-1)
        expected = [-float(logits[i, token]) for i, token in enumerate(sequence[1:])]
        assert nll == pytest.approx(expected, abs=1e-5)
        assert hits.tolist() == [int(logits[i].argmax()) == token for i, token in enumerate(sequence[1:])]


def test_initial_loss_is_the_models_own_training_loss(model) -> None:
    import torch

    row = ROWS[1]
    ids = torch.tensor([[*row.prompt_ids, *row.completion_ids]])
    labels = ids.clone()
    labels[0, : len(row.prompt_ids)] = -100
    model.eval()
    with torch.no_grad():
        expected = float(model(ids, labels=labels).loss)
    features = forward_features(model, Tokenizer(), [row], dev=answer_marks(model, Tokenizer(), [row]))
    assert features["initial_loss"] == pytest.approx(expected, abs=1e-5)
    for name in ("loss", "token_accuracy", "row_accuracy"):
        assert features[f"dev_initial_{name}"] == pytest.approx(features[f"initial_{name}"], abs=1e-6)
    assert set(features) == {name for name, entry in FEATURES if entry.tier == "forward" and entry.compute}
    assert all(math.isfinite(value) for value in features.values())


def test_a_slice_changes_no_other_number_and_without_one_its_own_are_nan(model) -> None:
    alone = forward_features(model, Tokenizer(), ROWS)
    beside = forward_features(model, Tokenizer(), ROWS, dev=answer_marks(model, Tokenizer(), ROWS[:2]))
    about_dev = {name for name in alone if name.startswith("dev_")}
    assert len(about_dev) == 3
    for name in alone:
        assert math.isnan(alone[name]) if name in about_dev else alone[name] == beside[name], name
    assert math.isnan(answer_marks(model, Tokenizer(), [Rendered([5], []), Rendered([], [6])]).loss)


def test_prompt_that_says_nothing_is_no_help(model) -> None:
    rows = [Rendered([1, 2], [9, 10, 11])]  # the tokenizer's empty prompt
    features = forward_features(model, Tokenizer(), rows)
    assert features["instruction_following_difficulty"] == pytest.approx(1.0)
    assert features["prompt_information"] == pytest.approx(0.0, abs=1e-6)


def test_leaves_mode_weights_and_random_numbers_alone(model) -> None:
    import torch

    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    torch.manual_seed(3)
    state = torch.random.get_rng_state()
    first = forward_features(model, Tokenizer(), ROWS)
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert forward_features(model, Tokenizer(), ROWS) == first  # dropout is off


def test_sample_is_capped_and_fixed(model) -> None:
    rows = [Rendered([5, 6, i % 50 + 3], [9]) for i in range(40)]
    assert forward_features(model, Tokenizer(), rows, most=5) == forward_features(model, Tokenizer(), rows, most=5)


def test_rows_without_completion_are_left_out_and_none_at_all_is_refused(model) -> None:
    empty = Rendered([5, 6], [])
    assert forward_features(model, Tokenizer(), [empty, ROWS[0]]) == forward_features(model, Tokenizer(), ROWS[:1])
    with pytest.raises(DataError, match="no row has a completion"):
        forward_features(model, Tokenizer(), [empty])
    with pytest.raises(DataError, match="prompts of at least one token"):
        forward_features(model, Tokenizer(), [Rendered([], [9])])


def test_missing_chat_template_is_named(model) -> None:
    class Bare(Tokenizer):
        chat_template = None

    with pytest.raises(ModelError, match="no chat template"):
        forward_features(model, Bare(), ROWS)
    assert forward_features(model, Bare(), ROWS, empty_prompt_ids=[1, 2]) == forward_features(model, Tokenizer(), ROWS)
