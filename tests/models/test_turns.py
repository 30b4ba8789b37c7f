"""Conversations as token ids: what is read, what is learnt, and what both give when batched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from predictor.data.example import Example, Message
from predictor.errors import ModelError
from predictor.finetune.fit import fit
from predictor.finetune.labels import IGNORED, as_dataset
from predictor.finetune.memory import estimate_memory
from predictor.finetune.plan import plan_training
from predictor.finetune.settings import hyperparameters
from predictor.finetune.snapshot import _digest
from predictor.models.answers import evaluate, headline_score, reference_losses
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.device import Device
from predictor.models.render import RenderedRow, render_prompts, render_rows
from predictor.models.room import Room
from predictor.probe import answer_marks, answer_sequels, forward_features
from predictor.probe.scoring import Sequel, sequel_losses
from predictor.tasks import TASKS

pytestmark = pytest.mark.usefixtures("one_thread")
CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
CHAT = TASKS.get("chat")
CALL, SAID = '{"name": "weather"}', "It is sunny."
TALK = Example(
    "talk",
    (SAID,),
    messages=(
        Message("system", "Be brief."),
        Message("user", "Hello"),
        Message("assistant", "\nGood day  "),
        Message("user", "How is Oslo?"),
        Message("assistant", CALL),
        Message("tool", "sunny"),
    ),
)
SHORT = Example("short", ("Yes.",), question="Is it?")
LONG = Example("long", ("No, never at all, by no means.",), question="Is it so?", context="It is said that it is " * 4)
EXAMPLES = [TALK, SHORT, LONG]


@pytest.fixture(scope="module")
def base(tiny_base: Path) -> BaseModel:
    return load_base_model(str(tiny_base), CPU)


def learnt(row: RenderedRow, base: BaseModel) -> list[str]:
    """The runs of tokens that have a label, as text."""
    [labels] = as_dataset([row])["labels"]
    ids = [*row.prompt_ids, *row.completion_ids]
    assert all(label in (IGNORED, token) for label, token in zip(labels, ids, strict=True))
    runs: list[list[int]] = []
    for place, label in enumerate(labels):
        if label != IGNORED:
            runs = runs if place and labels[place - 1] != IGNORED else [*runs, []]
            runs[-1].append(label)
    return [base.tokenizer.decode(run) for run in runs]


def test_every_turn_of_the_assistant_is_learnt_with_its_end_and_nothing_else(base: BaseModel) -> None:
    row, short, _ = render_rows(EXAMPLES, CHAT, base.tokenizer)
    assert learnt(row, base) == ["\nGood day  <|im_end|>", f"{CALL}<|im_end|>", f"{SAID}<|im_end|>"]
    assert learnt(short, base) == ["Yes.<|im_end|>"]
    assert base.tokenizer.decode([*row.prompt_ids, *row.completion_ids]) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"
        "<|im_start|>assistant\n\nGood day  "
        f"<|im_end|>\n<|im_start|>user\nHow is Oslo?<|im_end|>\n<|im_start|>assistant\n{CALL}<|im_end|>\n"
        f"<|im_start|>tool\nsunny<|im_end|>\n<|im_start|>assistant\n{SAID}<|im_end|>"
    )
    assert row.learnt == sum(label != IGNORED for label in as_dataset([row])["labels"][0])


def test_training_sees_the_very_prompt_of_generation(base: BaseModel) -> None:
    rows = render_rows(EXAMPLES, CHAT, base.tokenizer)
    assert render_prompts(EXAMPLES, CHAT, base.tokenizer) == [row.prompt_ids for row in rows]


def test_a_task_of_one_answer_learns_the_last_turn_alone(base: BaseModel) -> None:
    qa = Example("q", ("Rome",), context="Ada lives in Rome.", question="Where?")
    [row] = render_rows([qa], TASKS.get("qa"), base.tokenizer)
    assert row.earlier == ()
    assert row.learnt == len(row.completion_ids)


def test_the_probe_hears_what_is_learnt(base: BaseModel) -> None:
    rows = render_rows(EXAMPLES, CHAT, base.tokenizer)
    [talk, *others] = answer_sequels(rows)
    ids = [*rows[0].prompt_ids, *rows[0].completion_ids]
    [labels] = as_dataset(rows[:1])["labels"]
    assert talk.ids == ids
    assert [ids[place] for place in talk.at] == [label for label in labels if label != IGNORED]
    assert all(not sequel.at and sequel.count == row.learnt for sequel, row in zip(others, rows[1:], strict=True))
    features = forward_features(base.model, base.tokenizer, rows)
    marks = answer_marks(base.model, base.tokenizer, rows)
    assert features["initial_loss"] == pytest.approx(marks.loss, abs=1e-5)
    assert features["initial_token_accuracy"] == pytest.approx(marks.token_accuracy)


def test_losses_are_those_of_one_row_at_a_time_and_of_the_trainers_labels(base: BaseModel) -> None:
    import torch

    rows = render_rows(EXAMPLES, CHAT, base.tokenizer)
    found = reference_losses(base.model, base, CHAT, EXAMPLES)
    for batch_tokens in (1, 200, 4096):
        again = sequel_losses(base.model, answer_sequels(rows), pad_id=7, batch_tokens=batch_tokens)
        for one, (other, _) in zip(found, again, strict=True):
            assert one == pytest.approx(other, abs=1e-5)
    data = as_dataset(rows)
    for ids, labels, losses in zip(data["input_ids"], data["labels"], found, strict=True):
        with torch.no_grad():
            loss = base.model(torch.tensor([ids]), labels=torch.tensor([labels])).loss
        assert float(loss) == pytest.approx(float(np.mean(losses)), abs=1e-5)


def test_an_evaluation_has_both_kinds_of_scores_and_a_headline_without_answers(base: BaseModel, monkeypatch) -> None:
    evaluation = evaluate(base.model, base, CHAT, EXAMPLES)
    metrics = evaluation.metrics()
    losses = np.concatenate(reference_losses(base.model, base, CHAT, EXAMPLES))
    assert metrics["perplexity"] == pytest.approx(float(np.exp(losses.mean())))
    assert {"bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "length_ratio", "bits_per_byte_se"} <= set(metrics)
    assert evaluation.table()[0][:4] == ["asked", "turn", "answer", "references"]
    monkeypatch.setattr("predictor.models.answers.generate", lambda *a, **k: pytest.fail("something is generated"))
    assert headline_score(base.model, base, CHAT, EXAMPLES) == metrics["bits_per_byte"]


@pytest.mark.parametrize(("earlier", "share"), [((), 20 / 120), (((10, 90),), 100 / 120)])
def test_memory_is_estimated_by_all_that_is_learnt(base: BaseModel, monkeypatch, earlier, share: float) -> None:
    shares = []

    def seen(*arguments, **named):
        shares.append(named["learnt"] / named["tokens"])
        return estimate_memory(*arguments, **named)

    monkeypatch.setattr("predictor.finetune.fit.estimate_memory", seen)
    hp = hyperparameters(batch_size=4)
    row = RenderedRow("a", list(range(100)), [1] * 20, earlier)
    fit(plan_training(hp.training, 1, CPU), base.model.config, hp, [row], CPU, Room(10**12, ""))
    assert shares[0] == pytest.approx(share, abs=0.01)


def test_what_is_learnt_is_part_of_a_checkpoint() -> None:
    rows = [RenderedRow("a", [1, 2, 3, 4], [5])]
    assert _digest(rows) != _digest([RenderedRow("a", [1, 2, 3, 4], [5], ((1, 3),))])


@pytest.mark.parametrize("at", [(0, 3), (3, 2), (2, 2), (2, 9), (1, 2, 3)])
def test_places_that_cannot_be_looked_at_are_refused(at: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="are not 2 rising ones of 5 tokens"):
        Sequel([1, 2, 3, 4, 5], 2, at)


def test_a_template_that_changes_what_was_said_is_refused(base: BaseModel, monkeypatch) -> None:
    rewriting = (
        "{% for m in messages %}[{{ m['role'] }}]"
        "{% if loop.last or m['role'] != 'assistant' %}{{ m['content'] }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    monkeypatch.setattr(base.tokenizer, "chat_template", rewriting)
    with pytest.raises(ModelError, match="writes turn 3 otherwise when other turns follow it") as caught:
        render_rows([TALK], CHAT, base.tokenizer)
    assert caught.value.where == "example talk"


def test_a_template_that_knows_no_tools_says_so(base: BaseModel, monkeypatch) -> None:
    refusing = "{% if m['role'] == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    strict = "{% for m in messages %}" + refusing + "{% endfor %}"
    monkeypatch.setattr(base.tokenizer, "chat_template", strict)
    with pytest.raises(ModelError, match=r"refuses the turns system, user, .*tool.*: no tools here") as caught:
        render_rows([TALK], CHAT, base.tokenizer)
    assert caught.value.where == "example talk"
