"""Fine-tunes on conversations and on dialogues with summaries, from a file to a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from predictor.finetune.labels import IGNORED
from predictor.finetune.passes import PassTrainer
from predictor.flows.finetune import finetune
from predictor.models.base_model import load_tokenizer
from predictor.schema import keys
from predictor.tracking import read_record
from predictor.trial.config import finetune_config
from predictor.trial.sources import base_source

pytestmark = pytest.mark.usefixtures("one_thread")

FEW = {
    "eval_dataset": "split:0.5",
    "eval_limit": 4,
    "dev_limit": 2,
    "epochs": 1.0,
    "batch_size": 8,
    "probe_steps": 2,
    "max_new_tokens": 8,
}


def talk(number: int) -> dict[str, object]:
    """A conversation of three answers, one of which calls a function."""
    turns = [
        ("human", f"Hello, it is {number} again."),
        ("gpt", f"Good day, number {number}."),
        ("human", "How is the weather?"),
        ("function_call", '{"name": "weather"}'),
        ("observation", "rain"),
        ("gpt", f"It rains on {number}."),
    ]
    return {"conversations": [{"from": who, "value": text} for who, text in turns], "tools": '[{"name": "weather"}]'}


def test_a_conversation_file_becomes_a_run_that_has_learnt_every_answer(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "talks.json"
    path.write_text(json.dumps([talk(number) for number in range(20)]))
    tokenizer = load_tokenizer(base_source("lab"))
    learnt: list[str] = []
    step = PassTrainer.training_step

    def seen(self, model, inputs, *more):
        for ids, labels, mask in zip(inputs["input_ids"], inputs["labels"], inputs["attention_mask"], strict=True):
            assert (labels[mask == 0] == IGNORED).all()
            assert (ids[labels != IGNORED] == labels[labels != IGNORED]).all()
            # The lab's tokenizer writes a space before each text.
            learnt.append(tokenizer.decode(labels[labels != IGNORED]).replace("> ", ">"))
        return step(self, model, inputs, *more)

    monkeypatch.setattr(PassTrainer, "training_step", seen)
    record = finetune(finetune_config(task="chat", dataset=str(path), tiers="static,forward,train", **FEW))
    said = {
        f'Good day, number {n}.<|im_end|>{{"name": "weather"}}<|im_end|>It rains on {n}.<|im_end|>' for n in range(20)
    }
    assert len(learnt) == len(set(learnt)) == 10
    assert set(learnt) <= said
    assert record.scores["n"] == 4
    assert record.scores["bits_per_byte"] > 0
    assert record.scores["perplexity"] > 1
    assert record.probe["zero_shot_bits_per_byte"] > record.probe["early_bits_per_byte"]
    assert record.probe["dev_initial_loss"] > record.probe["dev_early_loss"]
    tags = MlflowClient().get_run(record.run_id).data.tags
    assert tags[f"{keys.TAG_SIGNATURE}bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert tags[keys.TAG_EVAL_DATASET] == "split:0.5"
    for name in ("bits_per_byte", "perplexity", "rouge_l", "bleu", "chrf", "length_ratio"):
        assert read_record(record.run_id).ineligible(f"score/{name}") is None


def test_summaries_are_scored_by_rouge(tiny_base: Path, store: str, tmp_path: Path) -> None:
    path = tmp_path / "dialogues.jsonl"
    rows = [{"dialogue": f"A: I am {n}.\nB: So am I.", "summary": f"Both are {n}.", "topic": "t"} for n in range(20)]
    path.write_text("\n".join(map(json.dumps, rows)))
    values = {"task": "summarization", "dataset": str(path), "base_model": str(tiny_base), "tiers": "static,train"}
    record = finetune(finetune_config(**{**values, **FEW}))
    assert record.task == "summarization"
    assert 0 <= record.scores["rouge_l"] <= 1
    assert record.scores["rouge_l_se"] >= 0
    assert "early_rouge_l" in record.probe
