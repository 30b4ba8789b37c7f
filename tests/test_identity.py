"""What makes a fine-tune another one: everything that changes its numbers, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import predictor
from predictor.trial import identity as rooms
from predictor.trial.config import WITHOUT_EFFECT, finetune_config
from predictor.trial.identity import code_revision, identity

PACKAGE = Path(predictor.__file__).parent


def _of(**values: object) -> str:
    return identity(finetune_config(**values), "rows", "questions", "weights")


def test_names_and_what_has_no_effect_do_not_count():
    assert _of(dataset="a.json", eval_dataset="b", base_model="c") == _of()
    assert _of(checkpoint_steps=7, checkpoint_dir="elsewhere") == _of()
    assert _of(evaluate=True, evaluation_config="e.yaml", replay_share=0.2) == _of()
    assert set(WITHOUT_EFFECT) == {
        "checkpoint_steps", "checkpoint_dir", "family", "evaluate", "evaluation_config"
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 1e-3}, {"lora_r": 4}, {"seed": 2}, {"train_limit": 5}, {"eval_limit": 5}, {"dev_limit": 5},
        {"probe_steps": 5}, {"tiers": "static"}, {"method": "full"}, {"max_new_tokens": 5}, {"max_length": 64},
    ],
)  # fmt: skip
def test_what_changes_numbers_counts(change: dict[str, object]):
    assert _of(**change) != _of()


@pytest.mark.parametrize("place", range(3))
def test_other_rows_questions_or_weights_count(place: int):
    digests = ["rows", "questions", "weights"]
    digests[place] = "other"
    assert identity(finetune_config(), *digests) != _of()


def test_what_is_replayed_and_how_much_counts_only_where_something_is():
    def replaying(digest: str, **values: object) -> str:
        return identity(finetune_config(replay="a.json", **values), "rows", "questions", "weights", digest)

    assert replaying("") == _of()
    assert len({_of(), replaying("a"), replaying("b"), replaying("a", replay_share=0.1)}) == 4


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's code, whose revision is asked for."""
    shutil.copytree(PACKAGE, tmp_path / "predictor", ignore=shutil.ignore_patterns("__pycache__", "base", "*.parquet"))
    monkeypatch.setattr(rooms.predictor, "__file__", str(tmp_path / "predictor" / "__init__.py"))
    return tmp_path / "predictor"


def _revision() -> str:
    code_revision.cache_clear()
    try:
        return code_revision()
    finally:
        code_revision.cache_clear()


@pytest.mark.parametrize(
    ("file", "added", "another"),
    [
        ("report/page.py", "\nX = 1\n", False),
        ("tracking/run.py", "\nX = 1\n", False),
        ("sweep/driver.py", "\nX = 1\n", False),
        ("flows/finetune.py", "\nX = 1\n", False),
        ("finetune/train.py", "\n# a remark\n", False),
        ("finetune/train.py", '\n"""A text that stands alone."""\n', False),
        ("finetune/train.py", "\nX = 1\n", True),
        ("probe/train.py", "\nX = 1\n", True),
        ("tasks/qa.py", "\nX = 1\n", True),
        ("models/generate.py", "\nX = 1\n", True),
    ],
)
def test_only_code_that_makes_numbers_makes_another_fine_tune(copy: Path, file: str, added: str, another: bool):
    before = _revision()
    with (copy / file).open("a") as stream:
        stream.write(added)
    assert (_revision() != before) is another
