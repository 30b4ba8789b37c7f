"""The recipe of the base model is alive, and the model in the package is what it should be."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from predictor.errors import TrainingError
from predictor.lab import base_model_path
from predictor.lab.lessons import LADDER, choose_level, draw_batch
from predictor.lab.recipe import Recipe
from predictor.lab.tokenizer import train_tokenizer

TINY = Recipe(
    steps=4, passages=2, width=32, layers=1, heads=2, mlp_width=32, vocabulary=1024, warmup_steps=2, settle_step=3
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(1024, 2000, 1)


def test_a_word_has_the_same_tokens_wherever_it_stands(tokenizer) -> None:
    alone = tokenizer.encode("Velton Mills").ids
    assert tokenizer.encode("assistant\nVelton Mills").ids[-len(alone) :] == alone
    assert tokenizer.encode("in Velton Mills.").ids[1:-1] == alone


@pytest.mark.parametrize(
    "text", ["Where does Velrek live?", "Context: a.\nQuestion: b, c?", "Ünïcode кот 猫 10% U.S. well-known"]
)
def test_text_survives_the_tokenizer(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_a_batch_teaches_the_whole_assistant_turn_and_what_can_be_copied(tokenizer) -> None:
    batch = draw_batch(Random(1), tokenizer, LADDER[4], 3)
    end = tokenizer.token_to_id("<|im_end|>")
    for row in range(3):
        passage = batch.ids[row, : batch.lengths[row]].tolist()
        seen = set(pairwise(passage))
        for chat in range(batch.chats):
            begin = batch.passage_width + chat * batch.chat_width
            ids = batch.ids[row, begin : begin + batch.chat_width].tolist()
            marks = batch.learn[row, begin : begin + batch.chat_width].tolist()
            answer = tokenizer.encode("<|im_start|>assistant\n").ids
            first = next(i for i in range(len(ids)) if ids[i : i + len(answer)] == answer) + len(answer)
            last = ids.index(end, first)
            assert all(marks[first - 1 : last])
            assert not any(marks[last:])
            for index, pair in enumerate(pairwise(ids[:first])):
                assert not marks[index] or pair in seen | set(pairwise(ids[: index + 1])) or index == first - 1


def test_the_ladder_is_climbed_from_the_bottom() -> None:
    sizes = [level.people * level.facts_each for level in LADDER]
    assert sizes == sorted(sizes)
    assert choose_level(Random(1), 0) == LADDER[0]
    drawn = {choose_level(Random(seed), 3) for seed in range(60)}
    assert drawn == set(LADDER[:4])


def test_an_interrupted_run_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from predictor.lab.pretraining import pretrain

    seen: list[int] = []
    whole = pretrain(TINY, tmp_path / "whole", lambda step, steps, values: seen.append(step))
    pretrain(TINY, tmp_path / "cut", stop_after=2)
    assert pretrain(TINY, tmp_path / "cut")["loss"] == pytest.approx(whole["loss"], abs=1e-3)
    one, other = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in ("whole", "cut"))
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-4)
    assert seen == [4]
    assert json.loads((tmp_path / "whole" / "curve.json").read_text())[-1]["step"] == 4
    with pytest.raises(TrainingError, match="belongs to another recipe"):
        pretrain(Recipe(steps=7), tmp_path / "cut")


def test_every_weight_learns(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from predictor.lab.pretraining import build_model, pretrain

    pretrain(TINY, tmp_path)
    fresh = build_model(TINY, train_tokenizer(1024, 2000, 1))
    trained = AutoModelForCausalLM.from_pretrained(tmp_path)
    for (name, before), after in zip(fresh.named_parameters(), trained.parameters(), strict=True):
        assert not torch.equal(before, after), name


def test_a_row_of_many_chats_teaches_what_single_chats_would() -> None:
    import torch
    from transformers import Qwen2ForCausalLM

    from predictor.lab import pretraining

    tokenizer = train_tokenizer(1024, 2000, 1)
    model = pretraining.build_model(TINY, tokenizer).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10.0)  # fresh weights attend to everything alike and would hide a wrong mask
    batch = draw_batch(Random(5), tokenizer, LADDER[3], 2)
    together = model.model(
        input_ids=torch.from_numpy(batch.ids),
        position_ids=torch.from_numpy(batch.positions),
        attention_mask={"full_attention": pretraining._chat_bias(batch)},
        use_cache=False,
    ).last_hidden_state
    plain = Qwen2ForCausalLM(model.config)
    plain.set_attn_implementation("sdpa")
    plain.load_state_dict(model.state_dict())
    length, chat = int(batch.lengths[1]), 3
    begin = batch.passage_width + chat * batch.chat_width
    ids = [*batch.ids[1, :length], *batch.ids[1, begin : begin + batch.chat_width]]
    alone = plain.eval().model(input_ids=torch.tensor([ids])).last_hidden_state[0, length:]
    assert torch.allclose(alone, together[1, begin : begin + batch.chat_width], rtol=1e-3, atol=1e-3)


def test_the_base_model_in_the_package_is_small_and_speaks_the_chat_format() -> None:
    from predictor.models.base_model import load_tokenizer

    folder = base_model_path()
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12_000_000
    names = "README.md config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json"
    assert set(names.split()) <= {file.name for file in folder.iterdir()}
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.tokenize("assistant\nVelrek")[-2:] == tokenizer.tokenize("in Velrek")[-2:]
    turn = [{"role": "user", "content": "Context: A.\nQuestion: B?"}]
    prompt = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    assert prompt == "<|im_start|>user\nContext: A.\nQuestion: B?<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.eos_token == "<|im_end|>"
