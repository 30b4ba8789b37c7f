"""Tasks of lm-evaluation-harness: without it, and with one that says what it is told to say."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from predictor.errors import ConfigError, DataError
from predictor.evaluation.harness import run_harness
from predictor.evaluation.originals import Original, read_originals
from predictor.evaluation.settings import ENGLISH, Comparison

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
