"""Where an answer ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.tiny import qa_rows, write_base
from predictor.data.example import Example
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.device import Device
from predictor.models.generate import end_tokens, generate
from predictor.models.render import render_rows, turn_end
from predictor.tasks import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
GEMMA_LIKE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def base(tmp_path: Path) -> BaseModel:
    """A base whose text ends with `<|endoftext|>`, whose settings know no other end, and whose turns end in another."""
    base = load_base_model(str(write_base(tmp_path / "base")), CPU)
    base.tokenizer.add_special_tokens({"additional_special_tokens": ["<turn|>"]})
    base.model.resize_token_embeddings(len(base.tokenizer))
    base.tokenizer.eos_token = "<|endoftext|>"
    base.tokenizer.chat_template = GEMMA_LIKE
    base.model.generation_config.eos_token_id = None
    return base


def _id(base: BaseModel, token: str) -> int:
    return int(base.tokenizer.convert_tokens_to_ids(token))


def _saying(base: BaseModel, monkeypatch: pytest.MonkeyPatch, ids: list[int]) -> None:
    """Let the model say these tokens one after the other, whatever it reads."""
    import torch

    said = iter(ids)
    forward = base.model.forward

    def scripted(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        output.logits = torch.zeros_like(output.logits)
        output.logits[:, -1, next(said)] = 1.0
        return output

    monkeypatch.setattr(base.model, "forward", scripted)


def test_the_end_of_a_turn_is_the_last_token_that_is_trained_on(base: BaseModel):
    context, question, answer = qa_rows(1)[0]
    [row] = render_rows([Example("0", (answer,), context, question)], TASKS.get("qa"), base.tokenizer)
    assert row.completion_ids[-1] == turn_end(base.tokenizer) == _id(base, "<turn|>")


@pytest.mark.parametrize("end", ["<turn|>", "<|endoftext|>"])
def test_an_answer_ends_where_the_template_or_the_tokenizer_ends_one(
    base: BaseModel, monkeypatch: pytest.MonkeyPatch, end: str
):
    _saying(base, monkeypatch, [70, 71, _id(base, end), 72, 73])
    assert generate(base.model, base.tokenizer, [[5, 6]], max_new_tokens=5) == [[70, 71]]


def test_an_answer_ends_where_the_models_own_settings_end_one(base: BaseModel, monkeypatch: pytest.MonkeyPatch):
    base.model.generation_config.eos_token_id = [80, 81]
    _saying(base, monkeypatch, [70, 71, 81, 72, 73])
    assert generate(base.model, base.tokenizer, [[5, 6]], max_new_tokens=5) == [[70, 71]]


def test_a_template_that_ends_turns_with_words_stops_at_none_of_them(base: BaseModel):
    base.tokenizer.chat_template = GEMMA_LIKE.replace("<turn|>", ".")
    assert turn_end(base.tokenizer) is None
    base.tokenizer.chat_template = None
    assert turn_end(base.tokenizer) is None


def test_the_embedded_base_has_one_end():
    from predictor.lab import base_model_path

    base = load_base_model(str(base_model_path()), CPU)
    assert end_tokens(base.model, base.tokenizer) == {base.tokenizer.eos_token_id}
