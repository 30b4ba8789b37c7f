"""Datasets of several tasks as one, and rows of several readings dealt out in no order."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tiny import qa_rows, write_squad
from predictor.data import load
from predictor.errors import ConfigError, DataError


def test_a_join_marks_each_row_with_its_task_and_shares_the_rows_of_its_files(tmp_path: Path):
    a, b = (write_squad(tmp_path / f"{name}.json", qa_rows(4, start=start)) for name, start in (("a", 0), ("b", 50)))
    joined = load(f"join:one:{a},two:(slice:rows=0-1:{b})")
    assert [row.extra["task"] for row in joined.examples] == ["one"] * 4 + ["two"] * 2
    assert len({row.id for row in joined.examples}) == 6
    assert set(load(a).row_sketch) < set(joined.row_sketch)
    assert joined.fingerprint != load(f"join:two:{a},two:(slice:rows=0-1:{b})").fingerprint
    assert load(f"join:one:{a}").examples[0].extra["task"] == "one"
    with pytest.raises(ConfigError, match="unknown key 'size' of join"):
        load(f"join:size=3:one:{a}")


def test_a_deal_holds_every_reading_once_over_its_parts(tmp_path: Path):
    a, b = (write_squad(tmp_path / f"{name}.json", qa_rows(4, start=start)) for name, start in (("a", 0), ("b", 50)))
    parts = [load(f"deal:sizes=7-3:part={part}:seed=1:1.5:{a},1:{b}").examples for part in (0, 1)]
    seen = [row.context for part in parts for row in part]
    twice = [row.context for row in load(a).examples[:2]]
    assert sorted(seen) == sorted(
        [*(row.context for row in load(a).examples), *twice, *(r.context for r in load(b).examples)]
    )
    assert parts[0] != load(f"deal:sizes=7-3:part=0:seed=2:1.5:{a},1:{b}").examples
    for wrong, error, message in (
        (f"deal:sizes=7-4:part=0:1.5:{a},1:{b}", DataError, "the parts have 11 rows, the datasets 10"),
        (f"deal:sizes=7-3:part=2:1:{a}", ConfigError, "part= none of them"),
        (f"deal:sizes=4:often:{a}", ConfigError, "'often' is no number of times"),
    ):
        with pytest.raises(error, match=message):
            load(wrong)
