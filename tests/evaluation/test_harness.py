"""Tasks of lm-evaluation-harness: without it, and with one that says what it is told to say."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model

from benchmarks.tiny import qa_rows
from predictor.errors import ConfigError, DataError
from predictor.evaluation.choices import ChoiceItem, choose
from predictor.evaluation.harness import run_harness
from predictor.evaluation.originals import Original, read_originals
from predictor.evaluation.pair import Pair
from predictor.evaluation.settings import ENGLISH, Comparison
from predictor.models.base_model import load_base_model
from predictor.models.device import detect

ARC = Original("lm_eval-arc", "lm_eval", "arc")


class FakePair:
    """Models are their names."""

    base = SimpleNamespace(tokenizer=None)
    tuned = "tuned"

    @contextlib.contextmanager
    def untuned(self) -> Iterator[str]:
        yield "base"


def install(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    harness, models, tasks = (ModuleType(name) for name in ("lm_eval", "huggingface", "tasks"))
    models.HFLM = lambda pretrained, **values: pretrained  # type: ignore[attr-defined]
    tasks.TaskManager = lambda **values: None  # type: ignore[attr-defined]
    harness.simple_evaluate = answer  # type: ignore[attr-defined]
    for name, module in {
        "lm_eval": harness, "lm_eval.models": ModuleType("models"), "lm_eval.models.huggingface": models,
        "lm_eval.tasks": tasks,
    }.items():  # fmt: skip
        monkeypatch.setitem(sys.modules, name, module)


def test_without_it_one_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="lm-evaluation-harness is not installed") as caught:
        read_originals(Comparison(original="lm_eval:arc_easy"), ENGLISH, str)
    assert ".[harness]" in str(caught.value)


def test_questions_are_paired(monkeypatch: pytest.MonkeyPatch):
    def answer(model: str, tasks: list[str], limit: int | None, **values: Any) -> dict[str, Any]:
        assert (tasks, limit) == (["arc"], 30)
        right = 20 if model == "base" else 10
        rows = [{"doc_id": i, "acc": float(i < right), "acc_norm": float(i < right)} for i in range(30)]
        return {"samples": {"arc": rows[::-1]}}

    install(monkeypatch, answer)
    found = run_harness(FakePair(), ARC, 30)  # type: ignore[arg-type]
    assert (found.score.n, found.score.won, found.score.lost) == (30, 0, 10)
    assert found.score.significant
    assert found.metric.startswith("acc_norm")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda *args, **values: {"samples": {"arc": [{"bleu": 3.0}]}}, "gives no share for each of its questions"),
        (lambda *args, **values: 1 / 0, "the harness cannot run 'arc': ZeroDivisionError"),
    ],
)
def test_what_it_cannot_do_is_one_error(monkeypatch: pytest.MonkeyPatch, answer: Any, message: str):
    install(monkeypatch, answer)
    with pytest.raises(DataError, match=message):
        run_harness(FakePair(), ARC, 0)  # type: ignore[arg-type]


def test_the_harness_itself_hears_what_we_hear(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("lm_eval", reason="the extra 'harness' is not installed")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    base = load_base_model(str(tiny_base), detect())
    pair = Pair(base, get_peft_model(base.model, LoraConfig(task_type="CAUSAL_LM", r=4, init_lora_weights=False)))
    names = [name for name, _, _ in qa_rows(12)]
    rows = [(f"Who is number {i}?", names[i], names[i - 1], i % 2) for i in range(12)]
    lines = ["question,a,b,right", *(",".join(map(json.dumps, row)) for row in rows)]
    (tmp_path / "who.csv").write_text("\n".join(lines))
    task = {
        "task": "who", "dataset_path": "csv", "dataset_kwargs": {"data_files": {"test": str(tmp_path / "who.csv")}},
        "test_split": "test", "output_type": "multiple_choice", "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_choice": "{{[a, b]}}", "doc_to_target": "right", "metric_list": [{"metric": "acc_norm"}],
    }  # fmt: skip
    (tmp_path / "who.yaml").write_text(json.dumps(task))
    found = run_harness(pair, Original("lm_eval-who", "lm_eval", str(tmp_path / "who.yaml")), 0)
    items = [ChoiceItem(str(i), "", question, (a, b), right) for i, (question, a, b, right) in enumerate(rows)]
    ours = choose(pair, items, chat=False)
    assert (found.score.base, found.score.tuned) == (ours.base.mean(), ours.tuned.mean())
    assert found.score.n == 12
