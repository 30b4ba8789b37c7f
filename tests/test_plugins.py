"""A further task, method or executor is one file; everything else takes it by its name."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.tiny import qa_rows, write_squad
from predictor.catalog import discover
from predictor.finetune import methods
from predictor.finetune.methods import METHODS
from predictor.flows.finetune import finetune
from predictor.flows.sweep import SweepConfig, sweep
from predictor.sweep import EXECUTORS, executors
from predictor.tasks import TASKS
from predictor.tracking import read_records
from predictor.trial.config import finetune_config

pytestmark = pytest.mark.usefixtures("one_thread")

METHOD = '''
from dataclasses import dataclass

from predictor.config import param
from predictor.finetune.methods.base import METHODS
from predictor.finetune.methods.full import Full


@dataclass(frozen=True)
class TopSettings:
    top_layers: int = param(1, "layers that learn, counted from the last", least=1)


class Top(Full):
    """Trains the last layers."""

    settings = TopSettings

    def apply(self, model, settings):
        model.requires_grad_(False)
        for layer in model.model.layers[-settings.top_layers :]:
            layer.requires_grad_(True)
        return model


METHODS.add("top", Top())
'''

EXECUTOR = '''
from predictor.sweep.executors.base import EXECUTORS
from predictor.sweep.executors.inline import InlineExecutor


@EXECUTORS.register("counting")
class CountingExecutor(InlineExecutor):
    """Counts its jobs."""

    jobs = 0

    def submit(self, job):
        CountingExecutor.jobs += 1
        super().submit(job)
'''


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Puts the text of one file into a package of plug-ins, for one test."""
    catalogs = [(c, dict(c._entries)) for c in (METHODS, EXECUTORS, TASKS)]
    added: list[str] = []

    def put(package, name: str, text: str) -> None:
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        added.append(f"{package.__name__}.{name}")
        discover(package.__name__, [str(folder)])

    yield put
    for name in added:
        sys.modules.pop(name, None)
    for catalog, entries in catalogs:
        catalog._entries.clear()
        catalog._entries.update(entries)


@pytest.fixture
def values(tiny_base: Path, tmp_path: Path, store: str) -> dict[str, object]:
    return {
        "dataset": str(write_squad(tmp_path / "train.json", qa_rows(16))),
        "eval_dataset": str(write_squad(tmp_path / "eval.json", qa_rows(16, start=90))),
        "base_model": str(tiny_base),
        "eval_limit": 8,
        "batch_size": 8,
        "epochs": 1.0,
        "tiers": "static,train",
    }


def test_a_method_is_one_file(add, values):
    add(methods, "top", METHOD)
    record = finetune(finetune_config(**values, method="top", top_layers=2), experiment="e")
    [stored] = read_records(["e"])
    assert (stored.method, stored.hp["top_layers"]) == ("top", 2)
    assert "lora_r" not in stored.hp
    assert record.costs["trainable_parameters"] < record.costs["total_parameters"]
    smaller = finetune(finetune_config(**values, method="top"), experiment="e")
    assert smaller.costs["trainable_parameters"] == record.costs["trainable_parameters"] / 2


def test_an_executor_is_one_file(add, values, tmp_path: Path):
    add(executors, "counting", EXECUTOR)
    names = ("eval_dataset", "eval_limit")
    fixed = {name: values[name] for name in names} | {"probe": {"tiers": "static"}}
    plan = {"datasets": [values["dataset"]], "base_models": [values["base_model"]], "seeds": [1, 2], **fixed}
    (tmp_path / "plan.json").write_text(json.dumps({**plan, "hp": {"batch_size": 8, "epochs": 1}}))
    result = sweep(SweepConfig(plan=str(tmp_path / "plan.json"), executor="counting"), experiment="s")
    assert result.tally.finished == EXECUTORS.get("counting").jobs == 2
