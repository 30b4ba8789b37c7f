"""Rows of what the base could do before, among the rows that are trained on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.tiny import qa_rows, write_squad
from predictor.errors import DataError
from predictor.progress import SILENT
from predictor.sweep.outlook import Identity
from predictor.trial.replay import replay_count
from predictor.trial.trial import Trial
from tests.small import small_config

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("rows", "share", "added"), [(95, 0.05, 5), (48, 0.2, 12), (64, 0.05, 3), (7, 0.3, 3), (4, 0.01, 1)]
)
def test_the_share_is_of_all_that_is_trained_on(rows: int, share: float, added: int):
    assert replay_count(rows, share) == added


def _chats(path: Path, count: int) -> str:
    rows = [
        {"messages": [{"role": "user", "content": f"Say {i}."}, {"role": "assistant", "content": f"It is {i}."}]}
        for i in range(count)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return str(path)


def test_replay_adds_rows_of_another_shape_and_changes_nothing_else(tiny_base: Path, tmp_path: Path):
    config = small_config(tiny_base, tmp_path, tiers="static,forward")
    chats = _chats(tmp_path / "chats.jsonl", 40)
    with Trial(config) as plain, Trial(config.replace(replay=chats, replay_share=0.2)) as mixed:
        for trial in (plain, mixed):
            trial._kind = "finetune"
            trial.look()
        assert mixed.rows[:48] == plain.rows
        added = mixed.rows[48:]
        assert len(added) == 12
        assert len({row.id for row in mixed.rows}) == 60
        words = mixed.base.tokenizer.decode(added[0].prompt_ids)
        assert "Say " in words
        assert "Context" not in words
        assert mixed.features == plain.features
        assert mixed.plan.max_steps > plain.plan.max_steps
        record, before = mixed.record("finetune"), plain.record("finetune")
        assert record.hp == before.hp | {"replay_share": 0.2}
        assert record.dataset_fingerprint != before.dataset_fingerprint == plain.materials.dataset.fingerprint
        assert record.config_hash != before.config_hash
        assert [use.context for use in mixed.datasets] == ["training", "evaluation", "replay"]
        assert Identity(SILENT)(mixed.config) == mixed.identity
    with Trial(config.replace(replay=chats, replay_share=0.2)) as again:
        assert again.rows == mixed.rows
    with Trial(config.replace(replay=chats, replay_share=0.2, seed=2)) as other:
        assert {row.id.split("-", 2)[2] for row in other.rows[48:]} != {row.id.split("-", 2)[2] for row in added}
    unused = config.replace(replay_share=0.4)
    with Trial(unused) as trial:
        assert trial.identity == plain.identity


def test_too_few_rows_to_replay(tiny_base: Path, tmp_path: Path):
    chats = _chats(tmp_path / "chats.jsonl", 3)
    config = small_config(tiny_base, tmp_path, replay=chats, replay_share=0.2)
    with Trial(config) as trial, pytest.raises(DataError, match="12 rows are to be replayed, 3 of 3 can be"):
        _ = trial.rows


def test_rows_the_task_reads_are_put_as_the_task_puts_them_and_a_leak_is_seen(tiny_base: Path, tmp_path: Path):
    path = write_squad(tmp_path / "more.json", qa_rows(20, start=100))
    with Trial(small_config(tiny_base, tmp_path, replay=str(path), replay_share=0.1)) as trial:
        assert "Context: " in trial.base.tokenizer.decode(trial.rows[-1].prompt_ids)
        assert trial.materials.leaked > 0
