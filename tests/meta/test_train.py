from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks.synthetic_runs import records
from predictor.errors import ConfigError, TableError
from predictor.meta.baselines import baselines
from predictor.meta.train import Trained, train
from predictor.meta.tune import Budget, tune
from predictor.meta.validate import permutation_control, validate
from predictor.table import Table, build

SMALL = Budget(trials=4, inner_trials=2, folds=2, max_rounds=10, fits=5, repeats=1, members=2)


@pytest.fixture(scope="module")
def table() -> Table:
    return build(records(36, groups=12, noise_features=1), average_seeds=False)


@pytest.fixture(scope="module")
def trained(table: Table) -> Trained:
    return train(table, seed=1, budget=Budget(6, 3, folds=3, max_rounds=20, fits=6, repeats=1, members=2))


def test_it_learns_the_law_and_beats_every_baseline_but_those_that_know_it(trained: Trained) -> None:
    grouped = trained.grouped
    assert grouped.metrics["r2"] > 0.7
    assert grouped.metrics["rmse"] < grouped.baselines["mean"]["rmse"] / 2
    assert grouped.metrics["rmse"] < grouped.baselines["nearest_dataset"]["rmse"]
    assert set(grouped.baselines) == {"mean", "zero_shot", "initial_loss_only", "hp_only", "nearest_dataset", "ridge"}
    assert not any(name.startswith("probe/noise") for name in list(trained.importance)[:2])


def test_group_is_always_validated_and_comes_first(trained: Trained) -> None:
    assert list(trained.validations) == ["group", "random"]
    assert trained.grouped.folds == 6


def test_the_same_seed_gives_the_same_predictor(table: Table) -> None:
    one, two = (
        tune(table.matrix, table.y, table.group, categorical=[], trials=4, budget=SMALL, seed=5) for _ in range(2)
    )
    assert one.recipe == two.recipe
    assert one.history == two.history
    assert len(one.history) == 4


def test_no_row_is_tuned_on_before_it_is_tested(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose target is replaced by nonsense change nothing in the predictions of their own fold."""
    for split in ("group", "random"):
        honest = validate(table, split, SMALL, with_baselines=False)[0].predicted
        poisoned = table.y.copy()
        victim = table.group == table.group[0] if split == "group" else np.arange(len(table)) == 0
        poisoned[victim] = 1.0 - poisoned[victim]
        found = validate(dataclasses.replace(table, y=poisoned), split, SMALL, with_baselines=False)[0].predicted
        np.testing.assert_array_equal(found[victim], honest[victim])
        assert not np.array_equal(found, honest)


def test_shuffled_targets_teach_nothing(table: Table) -> None:
    assert permutation_control(table, SMALL) < 0.15


def test_lolo_leaves_out_each_group_column_in_turn(table: Table) -> None:
    other = np.array([f"o{i % 3}" for i in range(len(table))], dtype=object)
    both = dataclasses.replace(table, groups={**table.groups, "other": other})
    known = validate(both, "group", SMALL, with_baselines=False)[0]
    found = validate(both, "lolo", SMALL, with_baselines=False, known=known)
    assert found[0].metrics["rmse"] == known.metrics["rmse_group_mean"]
    assert found[0].metrics["rmse_rows"] == known.metrics["rmse"]
    assert [each.split for each in found] == ["lolo/dataset", "lolo/other"]
    assert [each.folds for each in found] == [5, 3]


def test_a_baseline_sees_only_the_rows_that_teach(table: Table) -> None:
    train_rows, test_rows = np.arange(0, 30), np.arange(30, 36)
    poisoned = table.y.copy()
    poisoned[test_rows] = 9.0
    for name, guess in baselines(table).items():
        other = baselines(dataclasses.replace(table, y=poisoned))[name]
        np.testing.assert_array_equal(guess(train_rows, test_rows), other(train_rows, test_rows))


def test_one_group_is_not_enough(table: Table) -> None:
    single = dataclasses.replace(table, groups={"dataset": np.array(["g"] * len(table))})
    with pytest.raises(TableError, match="all rows are one group"):
        train(single)


def test_an_unknown_split(table: Table) -> None:
    with pytest.raises(ConfigError, match="unknown split 'loko'"):
        validate(table, "loko", SMALL)
