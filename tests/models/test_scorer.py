"""Heads that give scores: the loss of those that are there, where a head begins, and what is read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.tiny import write_encoder
from predictor.errors import ModelError
from predictor.finetune.methods import METHODS
from predictor.models.base_model import BaseModel
from predictor.models.classifier import load_saved, save_classifier
from predictor.models.device import detect
from predictor.models.head import _put_head, draw_head, load_classifier, start_at
from predictor.models.reading import NO_CLASS, read_texts
from predictor.models.scorer import MISSING, load_scorer, share_loss, squared_errors, told_shares

TEXTS = ["Ada number 3", "it lives in Rome, and so does Bela, who is number 5", "x"]
NAMES = ["growth", "size"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(params=["decoder", "encoder"])
def folder(request: pytest.FixtureRequest, tiny_base: Path, encoder: Path) -> Path:
    return tiny_base if request.param == "decoder" else encoder


def made(folder: Path, head: str = "mlp") -> BaseModel:
    base = load_classifier(str(folder), detect(), NAMES, head)
    torch.manual_seed(0)
    draw_head(base.model)
    return base


def test_a_score_that_is_not_there_adds_nothing_to_the_loss_and_no_gradient():
    outputs = torch.tensor([[0.5, 0.5], [1.0, 0.0]], requires_grad=True)
    shares = torch.tensor([[0.0, MISSING], [MISSING, 1.0]])
    total = squared_errors(outputs, shares)
    assert float(total.detach()) == pytest.approx(1.25)
    total.backward()
    assert outputs.grad is not None
    assert outputs.grad.tolist() == [[1.0, 0.0], [0.0, -2.0]]
    rows = read_texts(["a", "b"], [NO_CLASS] * 2, ["a", "b"], _Words(), 9, scores=[(0.0, np.nan), (np.nan, 1.0)])
    assert share_loss(outputs.detach().numpy(), rows) == pytest.approx(0.625)


class _Words:
    """A tokenizer of single letters."""

    def __call__(self, texts, **told):
        return {"input_ids": [[ord(letter) for letter in text] for text in texts]}


def test_a_head_begins_near_what_it_is_told(folder: Path):
    base = made(folder)
    rows = read_texts(TEXTS, [NO_CLASS] * 3, TEXTS, base.tokenizer, 60, scores=[(0.1, 0.9)] * 3)
    before = told_shares(base.model, base.tokenizer, rows)
    start_at(base.model, [0.1, 0.9])
    after = told_shares(base.model, base.tokenizer, rows)
    assert after - before == pytest.approx(np.tile([0.1, 0.9], (3, 1)), abs=1e-6)


@pytest.mark.parametrize("head", ["mlp", "linear"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_saved_scorer_gives_the_same_scores_when_it_is_loaded(folder: Path, tmp_path: Path, head: str, method: str):
    base = made(folder, head)
    way = METHODS.get(method)
    model = way.apply(base.model, way.settings())
    with torch.no_grad():  # as if it had been trained
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    model.eval()
    way.save(model, base.tokenizer, tmp_path)
    save_classifier(model, base.tokenizer, tmp_path, head, "", max_length=20, bounds=(1.0, 5.0))
    loaded = load_scorer(tmp_path, detect())
    assert (loaded.dimensions, loaded.low, loaded.high, loaded.max_length) == (NAMES, 1.0, 5.0, 20)
    around = [f"Rate it.\n\n{text}" for text in TEXTS]
    rows = read_texts(TEXTS, [NO_CLASS] * 3, TEXTS, base.tokenizer, 20, around)
    wanted = 1.0 + 4.0 * told_shares(model, base.tokenizer, rows).clip(0.0, 1.0)
    found = [list(row.values()) for row in loaded.predict(TEXTS, prompt="Rate it.")]
    assert np.array(found) == pytest.approx(wanted, abs=1e-6)
    whole = [list(row.values()) for row in loaded.predict(around[:1])]
    assert np.array(whole) == pytest.approx(wanted[:1], abs=1e-6)
    with pytest.raises(ModelError, match=r"the model gives scores \(growth, size\) and says no classes"):
        load_saved(tmp_path, detect())


def test_a_folder_that_holds_a_classifier_or_nothing_is_refused(encoder: Path, tmp_path: Path):
    with pytest.raises(ModelError, match="the folder holds no classifier"):
        load_scorer(tmp_path, detect())
    base, way = made(encoder), METHODS.get("full")
    way.save(base.model, base.tokenizer, tmp_path)
    save_classifier(base.model, base.tokenizer, tmp_path, "mlp", "")
    with pytest.raises(ModelError, match=r"the model says classes \(growth, size\) and gives no scores"):
        load_scorer(tmp_path, detect())


def test_a_model_without_a_place_for_a_head_is_refused_with_what_to_do_instead():
    with pytest.raises(ModelError, match="the model cannot carry a head") as caught:
        _put_head(torch.nn.Linear(2, 2), "mlp", 2, "some/model")
    assert "head=none with task=scoring" in (caught.value.fix or "")
