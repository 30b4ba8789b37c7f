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


def test_rows_that_have_ended_leave_the_batch(base: BaseModel, monkeypatch: pytest.MonkeyPatch):
    import torch

    end = _id(base, "<turn|>")
    lengths = {5: 2, 6: 13, 7: 30, 8: 9}  # first token of a prompt → tokens of its answer
    seen: list[int] = []
    said: dict[int, int] = {}
    forward = base.model.forward

    def scripted(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        ids = kwargs["input_ids"]
        seen.append(len(ids))
        output.logits = torch.zeros_like(output.logits)
        for place, row in enumerate(ids.tolist()):
            # A prompt begins with its row's number, and an answer repeats ten times that; padding does not matter.
            for owner in [token if token in lengths else token // 10 for token in row[-2:] if token != 3]:
                if owner in lengths:
                    said[owner] = said.get(owner, 0) + 1
                    output.logits[place, -1, end if said[owner] > lengths[owner] else 10 * owner] = 1.0
        return output

    monkeypatch.setattr(base.model, "forward", scripted)
    answers = generate(base.model, base.tokenizer, [[first, 3] for first in lengths], max_new_tokens=25)
    assert answers == [[10 * first] * min(count, 25) for first, count in lengths.items()]
    assert seen == [4] * 8 + [3] * 8 + [1] * 9  # one answer ends in the first eight, two in the second, one never


def test_a_batch_takes_no_more_than_a_part_of_what_is_free(base: BaseModel, monkeypatch: pytest.MonkeyPatch):
    from predictor.models import generate as module

    sizes: list[int] = []
    prompts = [[5] * 100] * 40
    free = {"bytes": 10**12}
    monkeypatch.setattr(module, "spare", lambda kind: free["bytes"])

    def batches() -> list[int]:
        sizes.clear()
        generate(base.model, base.tokenizer, prompts, max_new_tokens=1, on_batch=sizes.append)
        return list(sizes)

    assert batches() == [40]
    free["bytes"] = 4_000_000
    assert len(set(batches()[:-1])) == 1
    assert 1 < sizes[0] < 40
    free["bytes"] = 0
    assert batches() == [1] * 40
    free["bytes"] = 10**12
    monkeypatch.setattr(module, "_BLOCK", 1000 * 4 * base.model.config.intermediate_size)
    assert batches() == [10] * 4  # a thousand tokens fill the largest block
