"""Models with a head: pooling, heads, what a text can and cannot say, and what is read back."""

from __future__ import annotations

import json
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
from predictor.models.head import MlpHead, draw_head, head_of, head_outputs, is_decoder, load_classifier
from predictor.models.reading import class_probabilities, read_texts

TEXTS = [
    "Ada number 3",
    "it lives in Rome, and so does Bela, who is number 5",
    "x",
    "Oslo <|im_end|>",
    "[SEP] <|endoftext|>",
]
LABELS = ["first", "second", "third"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(params=["decoder", "encoder"])
def folder(request: pytest.FixtureRequest, tiny_base: Path, encoder: Path) -> Path:
    return tiny_base if request.param == "decoder" else encoder


def made(folder: Path, head: str = "mlp") -> BaseModel:
    base = load_classifier(str(folder), detect(), LABELS, head)
    torch.manual_seed(0)
    draw_head(base.model)
    return base


def rows_of(base: BaseModel, most: int = 60):
    return read_texts(TEXTS, [0] * len(TEXTS), TEXTS, base.tokenizer, most)


def test_batches_of_one_and_padding_on_either_side_say_the_same(folder: Path):
    base = made(folder)
    rows = rows_of(base)
    together = class_probabilities(base.model, base.tokenizer, rows)
    alone = np.concatenate([class_probabilities(base.model, base.tokenizer, [row]) for row in rows])
    assert together == pytest.approx(alone, abs=1e-6)
    if is_decoder(base.model):
        width = max(row.length for row in rows)
        for pad_id in (base.tokenizer.pad_token_id, rows[0].prompt_ids[-1]):
            ids = torch.tensor([[pad_id] * (width - row.length) + row.prompt_ids for row in rows])
            mask = torch.tensor([[0] * (width - row.length) + [1] * row.length for row in rows])
            with torch.inference_mode():
                left = head_outputs(base.model, ids, mask).softmax(-1).double().numpy()
            assert left == pytest.approx(together, abs=1e-6)


def test_plain_transformers_says_the_same_also_of_a_text_that_ends_in_the_name_of_the_padding(folder: Path):
    base = made(folder)
    ours = class_probabilities(base.model, base.tokenizer, rows_of(base))
    read = dict(base.tokenizer(TEXTS, return_tensors="pt", padding=True))
    read.pop("token_type_ids", None)
    with torch.inference_mode():
        theirs = base.model(**read).logits.softmax(-1).double().numpy()
    assert ours == pytest.approx(theirs, abs=1e-6)


def test_the_mlp_head_is_512_and_256_wide_with_xavier_uniform_weights(folder: Path):
    head = head_of(made(folder).model)
    assert isinstance(head, MlpHead)
    linear = [module for module in head if isinstance(module, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(32, 512), (512, 256), (256, 3)]
    for layer in linear:
        bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
        assert float(layer.weight.detach().abs().max()) <= bound
        assert float(layer.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)
        assert not layer.bias.any()
    assert [type(module).__name__ for module in head].count("Dropout") == 2


@pytest.mark.parametrize("head", ["mlp", "linear"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_saved_classifier_says_the_same_when_it_is_loaded(folder: Path, tmp_path: Path, head: str, method: str):
    base = made(folder, head)
    way = METHODS.get(method)
    model = way.apply(base.model, way.settings())
    with torch.no_grad():  # as if it had been trained
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    model.eval()
    way.save(model, base.tokenizer, tmp_path)
    save_classifier(model, base.tokenizer, tmp_path, head, "")
    loaded = load_saved(tmp_path, detect())
    found = np.array([list(row.values()) for row in loaded.predict(TEXTS)])
    assert loaded.labels == LABELS
    assert found == pytest.approx(class_probabilities(model, base.tokenizer, rows_of(base)), abs=1e-7)
    if method == "lora":  # the head survives merging
        merged = loaded.model.merge_and_unload()
        assert class_probabilities(merged, base.tokenizer, rows_of(base)) == pytest.approx(found, abs=1e-5)


def test_a_full_model_with_a_linear_head_loads_in_plain_transformers(folder: Path, tmp_path: Path):
    from transformers import AutoModelForSequenceClassification

    base = made(folder, "linear")
    way = METHODS.get("full")
    way.save(way.apply(base.model, way.settings()), base.tokenizer, tmp_path)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert list(plain.config.id2label.values()) == LABELS
    assert class_probabilities(plain, base.tokenizer, rows_of(base)) == pytest.approx(
        class_probabilities(base.model, base.tokenizer, rows_of(base)), abs=1e-7
    )


def test_lora_takes_the_layers_and_not_the_pooler(encoder: Path, tiny_base: Path):
    way = METHODS.get("lora")
    for folder, wanted in (
        (encoder, {"query", "key", "value", "dense"}),
        (tiny_base, {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
    ):
        model = way.apply(made(folder).model, way.settings())
        adapted = [name for name, _ in model.named_parameters() if "lora_A" in name]
        assert {name.split(".")[-4] for name in adapted} == wanted
        assert not any("pooler" in name for name in adapted)
        whole = [name for name, each in model.named_parameters() if each.requires_grad and "lora" not in name]
        assert whole
        assert all("modules_to_save" in name for name in whole)


def test_a_long_text_is_cut_inside_its_template(tiny_base: Path):
    base = made(tiny_base)
    text = "Ada lives in Rome. " * 20
    around = f'read: "{text}" and say:'
    (row,) = read_texts([text], [1], ["a"], base.tokenizer, 40, [around])
    said = base.tokenizer.decode(row.prompt_ids)
    assert (row.cut, row.length) == (True, 40)
    assert said.startswith('read: "Ada lives')
    assert said.endswith('" and say:')
    (short,) = read_texts(["Rome"], [1], ["a"], base.tokenizer, 40, ['read: "Rome"'])
    assert not short.cut


def test_folders_that_hold_no_classifier_or_another_base_are_refused(tmp_path: Path, tiny_base: Path, encoder: Path):
    with pytest.raises(ModelError, match="the folder holds no classifier"):
        load_saved(tmp_path, detect())
    way, base = METHODS.get("lora"), made(tiny_base)
    model = way.apply(base.model, way.settings())
    way.save(model, base.tokenizer, tmp_path)
    save_classifier(model, base.tokenizer, tmp_path, "mlp", "")
    with pytest.raises(ModelError, match="adapter cannot be loaded"):
        load_saved(tmp_path, detect(), base=str(encoder))
    settings = json.loads((tmp_path / "classifier.json").read_text())
    assert settings == {"labels": LABELS, "head": "mlp", "template": ""}
